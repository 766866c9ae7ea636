"""Bring the join that is kept (`joined.py`) to a later time: what a record or a label came for is joined anew, and nothing else.

What belongs together is told by the hash of the id. Two ids that share one are joined anew together, so nothing else has to
be compared. Earlier records and labels are found in what is settled (`settled.py`); all go through the steps of the whole join.
"""

from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from whorl.examples.joined import Changes, Joined, joined_by, nothing_joined
from whorl.examples.kept_list import BEGINNING
from whorl.examples.settled import Settled
from whorl.examples.steps import LABEL_COLUMNS, conflicting_ids, in_window, joined_steps, record_columns
from whorl.spec import Spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal
from whorl.storage.tables import TableName

# Records and labels that are joined at a time, which bounds the memory.
ROWS = 1_000_000


class Rejoined:
    """The join as of a time: what is kept of an earlier one, and anew what something came for since.

    Args:
        kept: The join as of then. settled: As of then, or of a later time up to `as_of`.
        prefix: Of the names of the engine's tables that it takes; `drop` them.
    """

    def __init__(
        self,
        lake: Lake,
        engine: Engine,
        spec: Spec,
        kept: Joined,
        settled: Settled,
        as_of: datetime,
        prefix: str,
    ) -> None:
        self._engine, self._spec = engine, spec
        self._kept, self._settled, self._as_of = kept, settled, as_of
        self._prefix = prefix
        self._made: list[str] = []
        # Now, so that the lake's files are those of this moment, whenever they are read.
        self._new_predictions = _received(lake, "predictions", kept.as_of, as_of)
        self._new_labels = _received(lake, "labels", kept.as_of, as_of)
        self._labels = _received(lake, "labels", BEGINNING, as_of)

    @cached_property
    def changes(self) -> Changes:
        """What has to change in what is kept."""
        self._touched()
        self._history()
        self._fresh()
        self._keep("bits", self._kept.gone_bits(self._at("gone")))
        self._still_unmatched()
        self._part_groups()
        return Changes(
            self._as_of, *(self._at(name) for name in ("fresh", "gone", "bits", "unmatched", "parted"))
        )

    @cached_property
    def rows(self) -> str:
        """SQL relation with the columns of the step `joined`, and those of `joined.py`."""
        changes = self.changes
        # One relation, where it can be: conditions reach its files.
        parts = [f"SELECT * FROM {changes.fresh}"] if self._any(changes.fresh) else []
        parts += [f"SELECT * FROM {self._kept.rows(changes.bits)}"] if self._kept.contents.runs else []
        return f"({' UNION ALL BY NAME '.join(parts)})"

    @cached_property
    def parted(self) -> str | None:
        """SQL relation of the groups on both sides; None where there is none."""
        return self.changes.parted if self._any(self.changes.parted) else None

    def counts(self) -> dict[str, int]:
        """`labels`, what became of them, and `conflicts`: predictions whose records contradict each other."""
        labels = self._engine.query(f"SELECT count(*) AS n FROM {self._labels}")["n"][0].as_py()
        row = self._engine.query(
            "SELECT coalesce(sum(labels), 0)::BIGINT AS matched, coalesce(sum(late), 0)::BIGINT AS late,\n"
            f"  count(*) FILTER (conflicting) AS conflicts FROM {self.rows}"
        ).to_pylist()[0]
        return {
            "labels": labels,
            "labels.unmatched": labels - row["matched"],
            "labels.ambiguous": 0,
            "labels.late": row["late"],
            "conflicts": row["conflicts"],
        }

    def drop(self) -> None:
        """Drop the tables."""
        for name in self._made:
            self._engine.drop(name)

    def _touched(self) -> None:
        """`touched`: hashes of the ids that something came for. `gone`: where their rows stand."""
        columns = record_columns(self._spec)
        self._name("new_predictions", f"SELECT {columns} FROM {self._new_predictions}")
        told = f"SELECT {LABEL_COLUMNS} FROM {self._new_labels} AND prediction_id IS NOT NULL"
        self._name("new_labels", told)
        self._keep(
            "touched",
            f"SELECT hash(id) AS hash FROM {self._at('new_predictions')}\n"
            f"UNION\nSELECT hash(prediction_id) FROM {self._at('new_labels')}",
        )
        if not self._kept.contents.runs:
            self._keep(
                "gone", "SELECT 0 AS run, 0 AS row, 0::UBIGINT AS hash, 0::UBIGINT AS group_hash WHERE false"
            )
            return
        self._keep("bits", self._kept.gone_bits())
        self._keep(
            "gone",
            f"SELECT run, file_row_number AS row, hash, group_hash FROM {self._kept.rows(self._at('bits'))}\n"
            f"WHERE hash IN (FROM {self._at('touched')})",
        )

    def _history(self) -> None:
        """`records` and `told`: all records and labels of what was touched, with those of before."""
        earlier = self._engine.query(
            f"SELECT hash FROM {self._at('gone')}\nUNION\n"
            f"SELECT hash FROM {self._at('touched')} WHERE hash IN (SELECT hash FROM {self._kept.unmatched()})"
        )
        hashes, until = earlier["hash"].to_numpy(), f"received_at <= {instant_literal(self._kept.as_of)}"
        for kind, name, new in (
            ("predictions", "records", "new_predictions"),
            ("labels", "told", "new_labels"),
        ):
            self._engine.register(self._at(f"earlier_{name}"), self._settled.find(kind, hashes, self._spec))
            self._made.append(self._at(f"earlier_{name}"))
            self._name(
                name,
                f"SELECT * FROM {self._at(f'earlier_{name}')} WHERE {until}\n"
                f"UNION ALL BY NAME\nSELECT * FROM {self._at(new)}",
            )

    def _fresh(self) -> None:
        records, told = self._at("records"), self._at("told")
        counts = f"count(*) AS labels, count(*) FILTER (NOT ({in_window(self._spec)})) AS late"
        steps = (
            joined_steps(self._spec, self._as_of, records, told)
            .add(
                "told",
                f"SELECT matched_id, {counts} FROM label_matches WHERE matches = 1 GROUP BY matched_id",
            )
            .add("conflicting", conflicting_ids(self._spec, self._as_of, records))
            .add(
                "fresh",
                "SELECT j.*, coalesce(t.labels, 0) AS labels, coalesce(t.late, 0) AS late,\n"
                "  j.id IN (SELECT id FROM conflicting) AS conflicting, hash(j.id) AS hash,\n"
                "  CASE WHEN j.group_id IS NOT NULL THEN hash(j.group_id) END AS group_hash\n"
                "FROM joined j LEFT JOIN told t ON t.matched_id = j.id",
            )
        )
        self._keep("fresh", steps.sql("fresh"))

    def _still_unmatched(self) -> None:
        there = f"(SELECT hash FROM {self._at('fresh')})"
        self._keep(
            "unmatched",
            f"SELECT hash FROM {self._kept.unmatched()} WHERE hash NOT IN {there}\n"
            f"UNION\nSELECT hash FROM {self._at('touched')} WHERE hash NOT IN {there}",
        )

    def _part_groups(self) -> None:
        """`parted`. Asked for by hash first: hardly ever does a group stand on both sides."""
        fresh, kept = self._at("fresh"), self._kept
        among = [fresh, *([kept.rows(self._at("bits"))] if kept.contents.runs else [])]
        sides = [
            f"SELECT group_hash FROM {some} WHERE split = '{one}' AND group_hash IN (SELECT group_hash FROM {fresh} WHERE split = '{other}')"
            for some in among
            for one, other in (("train", "holdout"), ("holdout", "train"))
        ]
        doubt = (
            "\nUNION\n".join(sides) + f"\nUNION\nSELECT group_hash FROM {self._at('gone')} "
            f"WHERE group_hash IN (SELECT hash(group_id) FROM {kept.parted()})"
        )
        self._keep("doubtful", doubt)
        parted = (
            f"SELECT group_id FROM {kept.parted()} WHERE hash(group_id) NOT IN (FROM {self._at('doubtful')})"
        )
        if self._any(self._at("doubtful")):
            here = f"WHERE group_hash IN (FROM {self._at('doubtful')})"
            members = " UNION ALL ".join(f"SELECT group_id, split FROM {some} {here}" for some in among)
            parted += (
                f"\nUNION\nSELECT group_id FROM ({members}) GROUP BY group_id HAVING min(split) <> max(split)"
            )
        self._keep("parted", parted)

    def _any(self, table: str) -> bool:
        return bool(self._engine.query(f"SELECT 1 FROM {table} LIMIT 1").num_rows)

    def _at(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def _keep(self, name: str, sql: str) -> None:
        self._engine.create(self._at(name), sql)
        self._made.append(self._at(name))

    def _name(self, name: str, sql: str) -> None:
        self._engine.name(self._at(name), sql)
        self._made.append(self._at(name))


def keep_joined(
    lake: Lake, engine: Engine, spec: Spec, folder: Path, settled: Settled, rows: int = ROWS
) -> Joined:
    """Bring what is kept of the join to the time of what is settled. Costs what came since; the first time, what is stored.

    Args:
        folder: Where it is kept.
        rows: Records and labels that are joined at a time, unless more were received at once.
    """
    before = joined_by(folder, lake, spec, settled.as_of) or nothing_joined(folder, lake, spec)
    if before.as_of == settled.as_of:
        return before
    counted, kept = [before], before
    for until in _cuts(lake, engine, kept.as_of, settled.as_of, rows):
        step = Rejoined(lake, engine, spec, kept, settled, until, "rejoined")
        try:
            kept = kept.add(engine, step.changes, settled.contents.mark)
        finally:
            step.drop()
        counted.append(kept)
    kept.sweep(counted)
    return kept


def _cuts(lake: Lake, engine: Engine, since: datetime, until: datetime, rows: int) -> list[datetime]:
    """Times between which about so many records were received; the last is `until`."""
    received = " UNION ALL ".join(
        f"SELECT received_at FROM {_received(lake, table, since, until)}"
        for table in ("predictions", "labels")
    )
    parts = int(engine.query(f"SELECT count(*) AS n FROM ({received})")["n"][0].as_py()) // rows
    if parts < 2:
        return [until]
    shares = [number / parts for number in range(1, parts)]
    found = engine.query(
        f"SELECT DISTINCT unnest(approx_quantile(epoch_us(received_at), {shares})) AS us FROM ({received}) ORDER BY us"
    )
    cuts = [datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us) for us in found["us"].to_pylist()]
    return [*(cut for cut in cuts if since < cut < until), until]


def _received(lake: Lake, table: TableName, since: datetime, until: datetime) -> str:
    """SQL relation, with its condition, of what was received after one time and by another."""
    rows = lake.relation(table, None if since == BEGINNING else since)
    return f"{rows} WHERE received_at > {instant_literal(since)} AND received_at <= {instant_literal(until)}"
