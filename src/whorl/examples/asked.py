"""Holdout rows whose truth people were asked for so that quality can be told, and the rows that each of them stands for.

A draw chooses among the holdout rows of a span that were received by then; the spans of draws do not overlap. Inside a span
the picked rows, each weighted by one over its chance, stand for all: rows that were not picked may have a truth too, but
whether it came then hangs on things that nobody knows.
"""

from datetime import datetime

from whorl.spec import Spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal
from whorl.storage.steps import Steps

JUDGE = "judge"
NEARLY_ALL = 0.95
# A draw is told once this share of its rows has been answered, and some of every so many neighbours in doubt.
ANSWERED = 0.5
NEIGHBOURS = 10


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


def asked_weights(engine: Engine, lake: Lake, examples: str, spec: Spec, as_of: datetime) -> str | None:
    """The engine's table of how many rows each row within a draw's span stands for; None where nobody was asked.

    out: `id`, `weight`: one over the chance of having been asked and answered; 0 for rows that were not, and for all rows of
    a draw that waits for answers. Draws are left out when nearly all rows beside the picked ones have their truth too:
    then everyone stands for himself. Who was asked and did not answer is stood for by neighbours in doubt.
    """
    if not engine.query(f"FROM ({judge_draws(lake, as_of)}) LIMIT 1").num_rows:
        return None
    engine.create("asked_weights", _weight_steps(lake, examples, spec, as_of).sql())
    return "asked_weights"


def outnumber_others(engine: Engine, weights: str, examples: str) -> bool:
    """Whether more rows were asked and answered, within the spans of draws, than came to be known otherwise.

    Args:
        weights: What `asked_weights` gave.
    """
    found = engine.query(
        f"SELECT count(*) FILTER (weight > 0) > count(*) FILTER (weight = 0 AND status = 'known') AS more\n"
        f"FROM {weights} JOIN {examples} USING (id)"
    )
    return bool(found["more"][0].as_py())


def _weight_steps(lake: Lake, examples: str, spec: Spec, as_of: datetime) -> Steps:
    return (
        Steps()
        .add("draws", judge_draws(lake, as_of))
        .add(
            "asked",
            f"SELECT draw, id, probability, stratum FROM {lake.relation('asked')} WHERE purpose = '{JUDGE}'",
        )
        .add(
            "frame",
            "SELECT d.draw, d.asked, e.id, a.probability, a.stratum, e.status IN ('known', 'defaulted') AS told,\n"
            f"  e.status = 'known' AS answered FROM {examples} e\n"
            "JOIN draws d ON e.received_at <= d.as_of AND e.time < d.until AND (d.since IS NULL OR e.time >= d.since)\n"
            f"LEFT JOIN asked a ON a.draw = d.draw AND a.id = e.id WHERE {can_be_asked(spec)}",
        )
        .add(
            "partial",
            "SELECT draw FROM frame GROUP BY draw HAVING count(*) FILTER (probability IS NULL AND told)\n"
            f"  < {NEARLY_ALL} * greatest(count(*) FILTER (probability IS NULL), 1)",
        )
        .add(
            "neighbours",
            f"SELECT *, (row_number() OVER of_draw - 1) * greatest(asked // {NEIGHBOURS}, 1) // asked AS place\n"
            "FROM frame WHERE probability IS NOT NULL WINDOW of_draw AS (PARTITION BY draw ORDER BY stratum::INT, id)",
        )
        .add(
            "shares",
            "SELECT draw, id, probability, answered, avg(answered::INT) OVER (PARTITION BY draw, place) AS share,\n"
            "  avg(answered::INT) OVER (PARTITION BY draw) AS share_of_draw FROM neighbours",
        )
        .add(
            "told_draws",
            f"SELECT draw FROM shares GROUP BY draw HAVING min(share) > 0 AND min(share_of_draw) >= {ANSWERED}",
        )
        .add(
            "weights",
            "SELECT f.id, CASE WHEN s.answered AND t.draw IS NOT NULL THEN 1 / (s.probability * s.share) ELSE 0.0 END AS weight\n"
            "FROM (FROM frame SEMI JOIN partial USING (draw)) f\n"
            "LEFT JOIN shares s ON s.draw = f.draw AND s.id = f.id LEFT JOIN told_draws t ON t.draw = f.draw",
        )
    )
