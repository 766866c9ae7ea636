"""Periods whose quality is told by rows that people were asked for, and the chance with which each of those came to be told.

A period goes by its asked rows where draws had a chance at most of it, unless nearly all other rows have their truth too:
then nobody had to be asked. In any other period rows within a draw's span do not count, because those of them that have a
truth were picked for being hard.
"""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.examples.asked import with_draws
from whorl.stats.arrays import Floats
from whorl.workspace import Workspace

MOST = 0.5
NEARLY_ALL = 0.95
# A period is told once this share of its asked rows has been answered, and some of every so many neighbours in doubt.
ANSWERED = 0.5
NEIGHBOURS = 10


class AskedRows(NamedTuple):
    """Rows of the periods that are told by asked rows, with the chance (n,) of having been asked and answered.

    `periods`: their numbers, those for which too few answers came included; `out`: ids that count in no other way.
    """

    rows: pa.Table
    probability: Floats
    periods: npt.NDArray[np.int64]
    out: pa.Array


def asked_rows(ws: Workspace, as_of: datetime, period_us: int) -> AskedRows | None:
    """None where nobody was asked."""
    draws = with_draws(ws.examples(as_of).name, ws.lake, ws.spec, as_of)
    frame = f"SELECT *, epoch_us(time) // {period_us} AS period FROM ({draws})"
    if not ws.engine.query(f"SELECT 1 FROM ({frame}) WHERE draw IS NOT NULL LIMIT 1").num_rows:
        return None
    ws.engine.create("holdout_frame", frame)
    told = "status IN ('known', 'defaulted')"
    ws.engine.create(
        "asked_periods",
        f"SELECT period, count(draw) >= {MOST} * count(*) AND count(probability) > 0 AS by_asked,\n"
        f"  count(*) FILTER (draw IS NOT NULL AND probability IS NULL AND {told})\n"
        f"  >= {NEARLY_ALL} * greatest(count(draw) - count(probability), 1) AS by_all\n"
        "FROM holdout_frame GROUP BY period",
    )
    out = ws.engine.query(
        "SELECT id FROM holdout_frame SEMI JOIN (FROM asked_periods WHERE NOT by_all) USING (period) WHERE draw IS NOT NULL"
    )
    asked = ws.engine.query(
        "SELECT * FROM holdout_frame SEMI JOIN (FROM asked_periods WHERE by_asked AND NOT by_all) USING (period)\n"
        "WHERE probability IS NOT NULL ORDER BY period, draw, stratum::INT, time, id"
    )
    period = np.asarray(asked["period"].to_numpy(), dtype=np.int64)
    answered = np.array([status == "known" for status in asked["status"].to_pylist()], dtype=np.bool_)
    share = _answered_share(period, answered)
    return AskedRows(
        asked.filter(pa.array(answered & (share > 0))),
        (np.asarray(asked["probability"].to_numpy()) * share)[answered & (share > 0)],
        np.unique(period),
        out["id"].combine_chunks(),
    )


def _answered_share(period: npt.NDArray[np.int64], answered: npt.NDArray[np.bool_]) -> Floats:
    """Share (n,) of a row's neighbours that were answered; 0 throughout a period that cannot be told yet."""
    share = np.zeros(len(period))
    for one in np.unique(period):
        (inside,) = np.nonzero(period == one)
        groups = np.array_split(inside, max(1, len(inside) // NEIGHBOURS))
        shares = [answered[group].mean() for group in groups]
        if min(shares) > 0 and answered[inside].mean() >= ANSWERED:
            share[inside] = np.concatenate([np.full(len(g), s) for g, s in zip(groups, shares, strict=True)])
    return share
