"""A replay's report on the terminal: what is known of the truth first, then the arms, the gates, and what it means."""

from typing import Any

import typer

from whorl.cli.terminal import print_facts, print_table
from whorl.replay.metric_names import metric_name

_SAYS = {"promote": "promoted", "hold": "held", "reject": "rejected", None: "no verdict"}


def print_replayed(report: dict[str, Any]) -> None:
    """Print it."""
    _print_labels(report["labels"])
    _print_arms(report)
    _print_decisions(report)
    for name, found in report["comparisons"].items():
        typer.echo(f"{report['flywheel']} against {name}: {metric_name(report['metric'])} {_signed(found)}")
    for name, arm in report["arms"].items():
        for failure in arm["failures"]:
            typer.echo(f"{name}: {failure}", err=True)
    for note in report["notes"]:
        typer.echo(f"Note: {note}", err=True)
    typer.echo("")
    typer.echo(report["meaning"])


def _signed(found: dict[str, Any]) -> str:
    if found["value"] is None or found["low"] is None:
        return "undefined"
    return f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def _print_labels(labels: dict[str, Any]) -> None:
    share = labels["known_share"]
    known = f"{labels['known']:,}" + (f" ({share:.1%})" if share is not None else "")
    print_facts(
        {
            "predictions": labels["predictions"],
            "labels came for": known,
            **{what: labels[what] or None for what in ("defaulted", "open", "censored", "expired")},
        }
    )
    rows = [
        (name, found["labels"], *(found[key] for key in ("p10", "p50", "p90", "max")))
        for name, found in labels["delays"].items()
    ]
    print_table(("label", "came", "10 % within days", "half", "90 %", "the last"), rows)


def _print_arms(report: dict[str, Any]) -> None:
    arms = report["arms"]
    rows = [
        (metric_name(metric) if place == 0 else "", name, *_overall(arm, metric))
        for metric in next(iter(arms.values()))["overall"]
        for place, (name, arm) in enumerate(arms.items())
    ]
    print_table(("metric", "arm", "overall", "interval", "mean of periods"), rows)
    costs = [
        (name, arm["initial_labels"], arm["labels_used"], arm["holdout_labels"], arm["rows_trained"],
         f"{arm['seconds']:.1f}")
        for name, arm in arms.items()
    ]  # fmt: skip
    heads = ("arm", "labels: first day", "chosen later", "in the holdout", "rows trained on", "seconds")
    print_table(heads, costs)


def _overall(arm: dict[str, Any], metric: str) -> tuple[str, str, str]:
    found, mean = arm["overall"][metric], arm["mean_of_periods"][metric]
    bounds = (
        "" if found["low"] is None or found["high"] is None else f"{found['low']:.4f} to {found['high']:.4f}"
    )
    return _plain(found["value"]), bounds, _plain(mean)


def _plain(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _print_decisions(report: dict[str, Any]) -> None:
    rows = []
    for period in report["arms"][report["flywheel"]]["periods"]:
        # The report has every gate; here it is the one that decided.
        gates = _SAYS[period["decision"]]
        rows.append((period["from"][:10], period["rows"], period["labels_used"], gates, period["reason"]))
    print_table(("from", "rows", "cases", "the gates", "because"), rows)
