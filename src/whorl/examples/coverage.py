"""How much of the truth is known, and how late it comes: what to look at before believing any number.

in: examples(label, status, age_days, delay_days); out: one JSON-able dict. An undefined figure is None beside a reason.
"""

from datetime import datetime
from typing import Any

from whorl.spec import Spec
from whorl.storage.engine import Engine
from whorl.storage.sql_types import quoted, text_literal
from whorl.storage.tables import FEATURE

# Ages in days; the last bucket is open.
AGES = (0, 1, 3, 7, 14, 30, 60, 90, 180, 365)
QUANTILES = (0.1, 0.5, 0.9)
# Values of a segment that are told apart: those with the most labels.
MOST_VALUES = 20


def coverage(engine: Engine, examples: str, by_itself: str, as_of: datetime, spec: Spec) -> dict[str, Any]:
    """Share labelled by age, delays by class and segment, what is open, and what the action hid.

    Args:
        by_itself: Those whose truth came, and that nobody was asked for.

    Returns:
        `as_of`; `predictions` and, of them, the counts `known`, `defaulted`, `open`, `censored`, `expired`; `corrected`:
        predictions whose labels said different things, of which the last received counts; `contradictory`: of them those whose last labels are of the same moment;
        `known_share`; `by_age`: list of {from_days, to_days, predictions, known, open, share}; `delays`: by class (one group
        'all' unless the task has classes) {labels, p10, p50, p90, max} in days, over labels that came by themselves, and
        `within`: list of {days, share} of them that came so soon. Delays below 0 are labels with a time before their
        prediction's. `delays_by_segment`: of each column of [schema] segments the same by value and class, of the values
        with the most labels. `censored_by_action`: list of {action, predictions}. `reason` says why a figure is None.
    """
    by_status = engine.query(
        "SELECT status, count(*) AS n, count(*) FILTER (corrected) AS corrected, "
        f"count(*) FILTER (contradictory) AS contradictory FROM {examples} GROUP BY status"
    ).to_pylist()
    status = {row["status"]: row["n"] for row in by_status}
    total = sum(status.values())
    group = "label::VARCHAR" if spec.task in ("binary", "multiclass") else "'all'"
    return {
        "as_of": as_of.isoformat(),
        "predictions": total,
        **{name: status.get(name, 0) for name in ("known", "defaulted", "open", "censored", "expired")},
        **{flag: sum(row[flag] for row in by_status) for flag in ("corrected", "contradictory")},
        **_share("known_share", status.get("known", 0), total, "There are no predictions."),
        "by_age": _by_age(engine, examples),
        "delays": _delays(engine, by_itself, group),
        "delays_by_segment": {
            name: _by_value(engine, by_itself, FEATURE + name, group) for name in spec.schema.segments
        },
        "censored_by_action": engine.query(
            f"SELECT action, count(*) AS predictions FROM {examples} WHERE status = 'censored' "
            "GROUP BY action ORDER BY predictions DESC, action"
        ).to_pylist(),
    }


def _by_age(engine: Engine, examples: str) -> list[dict[str, Any]]:
    # A prediction dated after the as-of time counts as new.
    bucket = f"greatest(len(list_filter({list(AGES)}, lambda age: age <= age_days)), 1)"
    rows = engine.query(
        f"SELECT {bucket} AS bucket, count(*) AS n, count(*) FILTER (status = 'known') AS known, "
        "count(*) FILTER (status = 'open') AS open "
        f"FROM {examples} GROUP BY bucket"
    ).to_pylist()
    found = {row["bucket"]: row for row in rows}
    empty = {"n": 0, "known": 0, "open": 0}
    return [
        {
            "from_days": start,
            "to_days": end,
            "predictions": found.get(number, empty)["n"],
            "known": found.get(number, empty)["known"],
            "open": found.get(number, empty)["open"],
            **_share(
                "share",
                found.get(number, empty)["known"],
                found.get(number, empty)["n"],
                "No prediction is this old.",
            ),
        }
        for number, (start, end) in enumerate(zip(AGES, (*AGES[1:], None), strict=True), start=1)
    ]


def _by_value(engine: Engine, known: str, column: str, group: str) -> dict[str, Any]:
    """Delays by the column's value, the commonest first; a missing value is 'none'."""
    value = f"coalesce({quoted(column)}::VARCHAR, 'none')"
    values = engine.query(
        f"SELECT {value} AS value, count(*) AS n FROM {known} "
        f"GROUP BY value ORDER BY n DESC, value LIMIT {MOST_VALUES}"
    )["value"].to_pylist()
    return {one: _delays(engine, f"{known} WHERE {value} = {text_literal(one)}", group) for one in values}


def _delays(engine: Engine, known: str, group: str) -> dict[str, Any]:
    within = ", ".join(f"count(*) FILTER (delay_days <= {days}) / count(*)" for days in AGES)
    rows = engine.query(
        f"SELECT {group} AS class, count(*) AS labels, quantile_cont(delay_days, {list(QUANTILES)}) AS quantiles, "
        f"max(delay_days) AS longest, [{within}] AS within FROM {known} "
        "GROUP BY class ORDER BY class"
    ).to_pylist()
    if not rows:
        return {
            "all": {
                "labels": 0,
                **dict.fromkeys(("p10", "p50", "p90", "max")),
                "within": [],
                "reason": "No label came yet.",
            }
        }
    return {
        row["class"]: {
            "labels": row["labels"],
            **dict(zip(("p10", "p50", "p90"), row["quantiles"], strict=True)),
            "max": row["longest"],
            "within": [{"days": d, "share": s} for d, s in zip(AGES, row["within"], strict=True)],
            "reason": None,
        }
        for row in rows
    }


def _share(name: str, part: int, whole: int, reason: str) -> dict[str, Any]:
    return {name: part / whole, "reason": None} if whole else {name: None, "reason": reason}
