"""Truths asked of people: which rows of those that have none, with what chance, and which of them came back.

Rows of the training split whose truth is open or was hidden by the action are chosen as cases are, by strategy beside a
random share; never a holdout or golden row, none that is young enough to judge, and none twice. When the truth comes, the row enters the dataset outside the
budget, and stands for those whose truth nobody will know.
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.curate.pool import pool_of
from whorl.curate.strategies.choose import choose
from whorl.examples.asked import TRAIN, asked_for
from whorl.stats.arrays import Floats
from whorl.stats.delay.still_to_come import chance_to_come, stands_for
from whorl.storage.sql_types import instant_literal, text_literal
from whorl.storage.tables import FEATURE, lake_schemas
from whorl.workspace import Workspace

MOST_ROWS = 200_000


def ask(ws: Workspace, cycle_id: str, as_of: datetime, *, random_share: float) -> int:
    """Ask for `[curate] ask` truths; how many were asked for."""
    if not ws.spec.curate.ask:
        return 0
    made = ws.engine.query(
        f"SELECT count(*) AS n FROM {ws.lake.relation('asked')} WHERE draw = {text_literal(cycle_id)} AND purpose = '{TRAIN}'"
    )["n"][0].as_py()
    if made:
        return int(made)
    rows, share = _askable(ws, as_of)
    pool = pool_of(ws, rows, np.ones(rows.num_rows), f"{ws.spec.train.seed}/ask/{as_of.isoformat()}")
    curate = ws.spec.curate
    drawn = choose(pool, curate.strategy, budget=curate.ask, random_share=random_share, beside=ws.beside)
    picked, n = rows.take(pa.array(drawn.rows)), len(drawn.rows)
    columns = {
        "draw": pa.array([cycle_id] * n, pa.string()),
        "as_of": pa.array([as_of] * n),
        "day": pa.array([as_of.astimezone(UTC).date()] * n),
        "id": picked["id"],
        "time": picked["time"],
        "purpose": pa.array([TRAIN] * n, pa.string()),
        "strategy": pa.array([curate.strategy if one else "random" for one in drawn.wanted], pa.string()),
        "stratum": pa.nulls(n, pa.string()),
        "probability": pa.array(drawn.probability * share),
        "since": pa.nulls(n, pa.timestamp("us", "UTC")),
        "until": pa.nulls(n, pa.timestamp("us", "UTC")),
    }
    table = pa.table(columns).cast(lake_schemas(ws.spec)["asked"])
    ws.lake.append("asked", table, app=f"asked/{cycle_id}", version=1)
    return n


def asked_chances(ws: Workspace, rows: pa.Table, as_of: datetime) -> Floats:
    """One over the rows that each asked row (n,) stands for; nan where it was not asked for.

    Who is asked stands for those who were not: as far as their truth never comes. Where it comes by itself they stand for
    themselves later on, and so does the row that was asked. How likely that was goes by its age when it was asked for.
    """
    if not _asked_before(ws, as_of):
        return np.full(rows.num_rows, np.nan)
    asked = ws.engine.query(
        f"SELECT id, first(probability) AS probability, first(greatest(epoch(a.as_of - e.time) / 86400, 0)) AS age,\n"
        f"  first(censored) AS hidden FROM {ws.lake.relation('asked')} a JOIN {ws.examples(as_of).name} e USING (id)\n"
        f"WHERE a.purpose = '{TRAIN}' AND a.as_of < {instant_literal(as_of)} GROUP BY id ORDER BY id"
    )
    place = pc.index_in(
        rows["id"].cast(pa.string()), value_set=asked["id"].cast(pa.string()).combine_chunks()
    )
    later = _chance_to_come(ws, as_of, asked["age"].to_numpy()) * ~asked["hidden"].to_numpy()
    weight = stands_for(asked["probability"].to_numpy(), later)
    chances: Floats = pa.array(1 / weight).take(place.combine_chunks()).to_numpy(zero_copy_only=False)
    return chances


def _asked_before(ws: Workspace, as_of: datetime) -> bool:
    """Whether anybody was asked for a row to train on; only then is the whole join looked at."""
    found = ws.engine.query(
        f"SELECT id FROM {ws.lake.relation('asked')} WHERE purpose = '{TRAIN}' AND as_of < {instant_literal(as_of)} LIMIT 1"
    )
    return len(found["id"]) > 0


def _chance_to_come(ws: Workspace, as_of: datetime, age: Floats) -> Floats:
    """Chance (m,) that truths open at an age come by themselves, from rows that nobody was asked for."""
    if not len(age):
        return age
    others = ws.engine.query(
        f"SELECT CASE WHEN label IS NOT NULL THEN greatest(delay_days, 0) END AS delay, greatest(age_days, 0) AS age\n"
        f"FROM {ws.examples(as_of).name} WHERE split = 'train' AND NOT censored\n"
        f"AND id NOT IN (SELECT id FROM ({asked_for(ws.lake, as_of)})) ORDER BY hash(id), id LIMIT {MOST_ROWS}"
    )
    delay = others["delay"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return chance_to_come(delay, others["age"].to_numpy(), age)


def _askable(ws: Workspace, as_of: datetime) -> tuple[pa.Table, float]:
    """Rows that may be asked for, some at random where there are very many, and the share of all that they are."""
    features = "".join(f', "{FEATURE}{name}"' for name in ws.spec.features)
    taken = (
        f"SELECT id FROM {ws.lake.relation('asked')} WHERE purpose = '{TRAIN}' "
        f"UNION ALL SELECT id FROM {ws.lake.relation('members')} WHERE role = 'golden'"
    )
    rows = ws.engine.query(
        f"SELECT id, time, score, scores, hash(id) AS draw_key, count(*) OVER () AS every{features} "
        f"FROM {ws.examples(as_of).name} WHERE split = 'train' AND status IN ('open', 'censored') AND label IS NULL "
        f"AND id NOT IN ({taken}){_not_judging(ws, as_of)} ORDER BY draw_key, id LIMIT {MOST_ROWS}"
    )
    return rows, rows.num_rows / rows["every"][0].as_py() if rows.num_rows else 1.0


def _not_judging(ws: Workspace, as_of: datetime) -> str:
    forward = ws.spec.evaluate.time_forward
    return "" if forward is None else f" AND time <= {instant_literal(as_of - forward.span)}"
