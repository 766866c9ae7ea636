"""What people were asked for, as it is listed: each row with its draw, what for, and the truth that came.

What a draw stands for is in `asked.py`.
"""

from datetime import datetime
from typing import Literal

import pyarrow as pa

from whorl.examples.asked import JUDGE, TRAIN, judge_draws
from whorl.examples.join import Examples
from whorl.storage.sql_types import instant_literal, text_literal

Purpose = Literal["judge", "train"]


def asked_list(
    examples: Examples,
    *,
    purpose: Purpose | None = None,
    draw: str | None = None,
    waiting: bool = False,
    after: tuple[datetime, str, str] | None = None,
    limit: int | None = None,
) -> pa.Table:
    """Every row that people were asked for by the time of the examples, the last draw first, without those of withdrawn draws.

    out: draw, purpose, strategy, asked_at, id, time, probability, stratum, label (NULL while its truth waits), label_received_at

    Args:
        purpose: Whether its truth was to tell quality, or to be learnt from; None: both.
        draw: Only rows of this one.
        waiting: Only rows whose truth has not come.
        after: `asked_at`, `draw` and `id` of the row that the list goes on behind.
        limit: At most so many.
    """
    lake, as_of = examples.lake, examples.as_of
    where = [
        f"a.as_of <= {instant_literal(as_of)}",
        f"(a.purpose = '{TRAIN}' OR a.purpose = '{JUDGE}' AND a.draw IN (SELECT draw FROM ({judge_draws(lake, as_of)})))",
    ]
    where += [f"a.purpose = {text_literal(purpose)}"] if purpose else []
    where += [f"a.draw = {text_literal(draw)}"] if draw is not None else []
    where += ["e.label IS NULL"] if waiting else []
    if after is not None:
        at, last_draw, last_id = instant_literal(after[0]), text_literal(after[1]), text_literal(after[2])
        where.append(
            f"(a.as_of < {at} OR (a.as_of = {at} AND (a.draw < {last_draw} OR (a.draw = {last_draw} AND a.id > {last_id}))))"
        )
    return examples.engine.query(
        "SELECT a.draw, a.purpose, a.strategy, a.as_of AS asked_at, a.id, a.time, a.probability, a.stratum, e.label, e.label_received_at\n"
        f"FROM {lake.relation('asked')} a LEFT JOIN {examples.name} e ON e.id = a.id WHERE {' AND '.join(where)}\n"
        f"ORDER BY a.as_of DESC, a.draw DESC, a.id {'' if limit is None else f'LIMIT {limit}'}"
    )
