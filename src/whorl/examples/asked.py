"""Holdout rows whose truth people were asked for so that quality can be told, and the rows that each of them stands for.

A draw chooses among the holdout rows of a span that were received by then; the spans of draws do not overlap. Inside a span
the picked rows, each weighted by one over its chance, stand for all: rows that were not picked may have a truth too, but
whether it came then hangs on things that nobody knows.
"""

from datetime import datetime

from whorl.spec import Spec
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal

JUDGE = "judge"


def can_be_asked(spec: Spec) -> str:
    """SQL condition over examples: rows that a draw chooses among, its span apart."""
    answered = "scores IS NOT NULL" if spec.task == "multiclass" else "score IS NOT NULL"
    return f"split = 'holdout' AND {answered} AND NOT censored"


def judge_draws(lake: Lake, as_of: datetime) -> str:
    """SQL: one row for each draw made by a time: `draw`, `as_of`, `since` (NULL: from the first row on), `until`, `asked`."""
    return (
        "SELECT draw, min(as_of) AS as_of, min(since) AS since, min(until) AS until, count(*) AS asked\n"
        f"FROM {lake.relation('asked')} WHERE purpose = '{JUDGE}' AND as_of <= {instant_literal(as_of)} GROUP BY draw"
    )


def with_draws(examples: str, lake: Lake, spec: Spec, as_of: datetime) -> str:
    """SQL: the rows that could be asked for, with `draw` (NULL: outside every span), and `probability` and `stratum` of those
    that were.
    """
    asked = f"SELECT draw, id, probability, stratum FROM {lake.relation('asked')} WHERE purpose = '{JUDGE}'"
    return (
        f"SELECT e.*, d.draw, a.probability, a.stratum FROM {examples} e\n"
        f"LEFT JOIN ({judge_draws(lake, as_of)}) d ON e.received_at <= d.as_of AND e.time < d.until\n"
        "  AND (d.since IS NULL OR e.time >= d.since)\n"
        f"LEFT JOIN ({asked}) a ON a.draw = d.draw AND a.id = e.id\n"
        f"WHERE {can_be_asked(spec)}"
    )
