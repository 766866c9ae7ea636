"""A small report as `replay` returns it, with everything a page has to cope with."""

from typing import Any

import pytest


def figure(value: float | None) -> dict[str, Any]:
    known = value is not None
    return {
        "value": value,
        "low": value - 0.02 if known else None,
        "high": value + 0.02 if known else None,
        "n": 100,
    }


def arm(level: float | None, labels: int) -> dict[str, Any]:
    metrics = {"auc": figure(level), "log_loss": figure(0.4)}
    days = [f"2026-0{month}-01T00:00:00+00:00" for month in (1, 2, 3, 4)]
    decisions = ["promote", "hold", None]
    return {
        "overall": metrics,
        "mean_of_periods": {name: found["value"] for name, found in metrics.items()},
        "periods": [
            {"from": first, "to": last, "rows": 100, "metrics": metrics, "labels_used": labels, "rows_trained": 500,
             "decision": decision, "reason": decision and f"better: {decision} <&>; more rows", "gates": [],
             "by_findings": [{"at": first, "kind": "error_rate_up"}] if decision == "hold" else []}
            for first, last, decision in zip(days[:-1], days[1:], decisions, strict=True)
        ],
        "initial_labels": 400, "labels_used": labels, "holdout_labels": 50, "rows_trained": 1500, "seconds": 3.2,
        "failures": ["2026-03-01: a leak"] if level is None else [],
    }  # fmt: skip


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "name": "shop", "task": "binary", "metric": "auc", "greater_is_better": True, "level": 0.95,
        "from": "2026-01-01T00:00:00+00:00", "to": "2026-04-01T00:00:00+00:00", "every_days": 30.0,
        "labels": {
            "predictions": 1000, "known": 900, "known_share": 0.9, "defaulted": 0, "open": 100, "censored": 0,
            "expired": 0, "by_age": [],
            "delays": {
                name: {"labels": 450, "p10": 0.5, "p50": 2.0, "p90": 9.0, "max": 30.0,
                       "within": [{"days": d, "share": s} for d, s in ((0, 0.0), (7, share), (30, 1.0))]}
                for name, share in (("false", 0.3), ("true", 0.8))
            },
        },
        "arms": {"flywheel": arm(0.8, 120), "static": arm(0.7, 0), "all": arm(0.81, 900), "cheap <b>": arm(None, 10)},
        "comparisons": {
            "static": {"value": 0.1, "low": 0.08, "high": 0.12, "n": 300},
            "all": {"value": -0.01, "low": -0.03, "high": 0.01, "n": 300},
            "cheap <b>": {"value": None, "low": None, "high": None, "n": 0},
        },
        "flywheel": "flywheel", "notes": ["line 3 of a.csv: <script>"], "meaning": "It is worth it.",
        "spec_hash": "a1", "data_hash": "b2", "seed": 0,
    }  # fmt: skip
