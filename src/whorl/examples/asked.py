"""Holdout rows whose truth people were asked for so that quality can be told, and the rows that each of them stands for.

A draw chooses among the holdout rows that were received in its span; spans do not overlap, so each row has one chance. The
picked rows, each weighted by one over its chance, stand for all rows of the span, by whatever way their truth came: asked
or by itself. That holds when nearly all of them have one. While some are silent, what is known of the others goes by who
answers, as it does everywhere else: then the draw stands for nobody, and its rows are rows like any others.
"""

from datetime import datetime

from whorl.spec import Spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal
from whorl.storage.steps import Steps

JUDGE, TRAIN, WITHDRAWN = "judge", "train", "withdrawn"
# Where so many rows of a span have their truth, everyone stands for himself.
NEARLY_ALL = 0.95
# A draw counts once rows that stand for this share of its span have their truth. The silent ones can move a share by no more
# than the rest of it; and some of every so many neighbours in doubt have to be known.
# Rows beside the picked ones stand for them unless nine of ten neighbours, of more than the rest of the span, were picked.
ANSWERED = 0.9
LEAST_ANSWERS = 20
NEIGHBOURS = 10


def least_answers(spec: Spec, metric: str) -> int:
    """How many asked rows with a truth tell a period: `[monitor] min_rows`; of an accuracy 20, with which its interval holds."""
    least = max(spec.monitor.min_rows, 1)
    return min(least, LEAST_ANSWERS) if metric == "accuracy" else least


def can_be_asked(spec: Spec) -> str:
    """SQL condition over examples: rows that a draw chooses among, its span apart."""
    answered = "scores IS NOT NULL" if spec.task == "multiclass" else "score IS NOT NULL"
    return f"split = 'holdout' AND {answered} AND NOT censored"


def in_span(draw: str) -> str:
    """SQL condition over examples: rows that were received in the span of a row of draws."""
    return f"(received_at <= {draw}.until AND ({draw}.since IS NULL OR received_at > {draw}.since))"


def draws_made(lake: Lake, as_of: datetime) -> str:
    """SQL: one row for each draw made by a time: `draw`, `as_of`, `since` (NULL: from the first row on), `until`, `asked`."""
    return (
        "SELECT draw, min(as_of) AS as_of, min(since) AS since, min(until) AS until, count(*) AS asked\n"
        f"FROM {lake.relation('asked')} WHERE purpose = '{JUDGE}' AND as_of <= {instant_literal(as_of)} GROUP BY draw"
    )


def judge_draws(lake: Lake, as_of: datetime) -> str:
    """SQL: the draws made by a time that were not withdrawn by it."""
    return (
        f"FROM ({draws_made(lake, as_of)}) WHERE draw NOT IN (SELECT draw FROM {lake.relation('asked')}\n"
        f"WHERE purpose = '{WITHDRAWN}' AND as_of <= {instant_literal(as_of)})"
    )


def asked_for(lake: Lake, as_of: datetime) -> str:
    """SQL: `id` and `asked_at` of every row whose truth people were asked for by a time, whatever for: from then on its truth
    may have come because somebody asked. How late it came says nothing of how late truth comes.
    """
    return (
        f"SELECT id, min(as_of) AS asked_at FROM {lake.relation('asked')} "
        f"WHERE as_of <= {instant_literal(as_of)} GROUP BY id"
    )


def asked_rows(lake: Lake, examples: str, spec: Spec, as_of: datetime) -> str:
    """SQL: the rows of the draws that count: `draw`, `id`, `probability`, and `weight`, 0 for who is silent."""
    return _answers(lake, examples, spec, as_of).sql("asked_rows")


def asked_weights(engine: Engine, lake: Lake, examples: str, spec: Spec, as_of: datetime) -> str:
    """The engine's table of how many rows each row within the span of a draw that counts stands for.

    out: `id`; `weight`: one over the chance of having been asked and having a truth, 0 for the others; `probability` of
    having been asked, NULL of rows that were not. Draws are left out when nearly all rows of their span have their
    truth. Who was asked and is silent is stood for by neighbours in doubt.
    """
    steps = (
        _answers(lake, examples, spec, as_of)
        .add("everyone_for_himself", _nearly_all_told(examples, spec))
        .add(
            "beside",
            f"SELECT d.draw, id FROM {examples} JOIN (FROM draws SEMI JOIN counting USING (draw)) d ON {in_span('d')}\n"
            f"WHERE {can_be_asked(spec)} AND id NOT IN (SELECT id FROM asked_rows)",
        )
        .add(
            "weights",
            "SELECT id, weight, probability FROM asked_rows ANTI JOIN everyone_for_himself USING (draw) UNION ALL\n"
            "SELECT id, 0.0, NULL FROM beside ANTI JOIN everyone_for_himself USING (draw)",
        )
    )
    engine.create("asked_weights", steps.sql())
    return "asked_weights"


def outnumber_others(engine: Engine, weights: str, left_to: str, examples: str) -> bool:
    """Whether more rows were asked and have a truth, within the spans of draws, than there are others that could judge instead.

    Args:
        weights: What `asked_weights` gave.
        left_to: What `beside_asked` gave.
    """
    found = engine.query(
        f"SELECT count(*) FILTER (weight > 0) > count(*) FILTER (weight = 0 AND status = 'known' AND stands_for > 0) AS more\n"
        f"FROM {weights} JOIN {examples} USING (id) JOIN {left_to} USING (id)"
    )
    return bool(found["more"][0].as_py())


def beside_asked(engine: Engine, lake: Lake, examples: str, spec: Spec, as_of: datetime) -> str:
    """The engine's table of the rows in the span of any draw ever made: how many each `stands_for` where draws do not judge.

    out: `id`; `stands_for`: 0 for who was picked, else the rows among its neighbours in doubt by those that were not picked. 0 for
    all where too many were picked for that. Spans of which nearly all rows have their truth are left out: everyone for himself.
    """
    steps = (
        Steps()
        .add("draws", draws_made(lake, as_of))
        .add("everyone_for_himself", _nearly_all_told(examples, spec))
        .add(
            "inside",
            f"SELECT d.draw, e.id, {_doubt(spec)} AS doubt, a.id IS NOT NULL AS picked\n"
            f"FROM {examples} e JOIN (FROM draws ANTI JOIN everyone_for_himself USING (draw)) d ON {in_span('d')}\n"
            f"LEFT JOIN {lake.relation('asked')} a ON a.draw = d.draw AND a.id = e.id AND a.purpose = '{JUDGE}'\n"
            f"WHERE {can_be_asked(spec)}",
        )
        .add(
            "counted",
            "SELECT *, count(*) FILTER (NOT picked) OVER (PARTITION BY draw ORDER BY doubt, id) AS so_far,\n"
            "  count(*) FILTER (NOT picked) OVER (PARTITION BY draw) AS others FROM inside",
        )
        .add(
            "neighbours",
            f"SELECT *, greatest(so_far - 1, 0) * greatest(others // {NEIGHBOURS}, 1) // greatest(others, 1) AS place FROM counted",
        )
        .add(
            "stood_for",
            "SELECT *, count(*) OVER here / count(*) FILTER (NOT picked) OVER here AS rows FROM neighbours\n"
            "WINDOW here AS (PARTITION BY draw, place)",
        )
        .add(
            "taken",
            "SELECT draw FROM stood_for GROUP BY draw HAVING count(*) FILTER (NOT picked) = 0\n"
            f"OR count(*) FILTER (rows > {NEIGHBOURS}) > {1 - ANSWERED:g} * count(*)",
        )
        .add(
            "beside_asked",
            "SELECT id, product(CASE WHEN picked OR draw IN (FROM taken) THEN 0.0 ELSE rows END) AS stands_for\n"
            "FROM stood_for GROUP BY id",
        )
    )
    engine.create("beside_asked", steps.sql())
    return "beside_asked"


def _doubt(spec: Spec) -> str:
    """SQL over examples: what `stats/sampling/doubt.py` is, which chances go by."""
    if spec.task != "multiclass":
        return "least(score, 1 - score)"
    likely = "list_reverse_sort(map_values(scores))"
    return f"{likely}[2] / ({likely}[1] + {likely}[2])"


def _nearly_all_told(examples: str, spec: Spec) -> str:
    """SQL over the step `draws`: those of whose span nearly all rows have their truth."""
    return (
        f"SELECT d.draw FROM draws d JOIN {examples} ON {in_span('d')} WHERE {can_be_asked(spec)} GROUP BY d.draw\n"
        f"HAVING count(*) FILTER (status IN ('known', 'defaulted')) >= {NEARLY_ALL} * count(*)"
    )


def _answers(lake: Lake, examples: str, spec: Spec, as_of: datetime) -> Steps:
    """Who of the asked rows has a truth, which draws count, and what each of their rows weighs."""
    return (
        Steps()
        .add("draws", judge_draws(lake, as_of))
        .add(
            "picked",
            "SELECT draw, id, a.probability, a.stratum, asked, status = 'known' AS answered\n"
            f"FROM {lake.relation('asked')} a JOIN draws USING (draw) JOIN {examples} USING (id)\n"
            f"WHERE a.purpose = '{JUDGE}' AND {can_be_asked(spec)}",
        )
        .add(
            "neighbours",
            f"SELECT *, (row_number() OVER of_draw - 1) * greatest(asked // {NEIGHBOURS}, 1) // asked AS place\n"
            "FROM picked WINDOW of_draw AS (PARTITION BY draw ORDER BY stratum::INT, id)",
        )
        .add(
            "shares",
            "SELECT draw, id, probability, answered, avg(answered::INT) OVER (PARTITION BY draw, place) AS share FROM neighbours",
        )
        .add(
            "counting",
            "SELECT draw FROM shares GROUP BY draw\n"
            f"HAVING min(share) > 0 AND sum(1 / probability) FILTER (answered) >= {ANSWERED} * sum(1 / probability)",
        )
        .add(
            "asked_rows",
            "SELECT draw, id, probability, CASE WHEN answered THEN 1 / (probability * share) ELSE 0.0 END AS weight\n"
            "FROM shares SEMI JOIN counting USING (draw)",
        )
    )
