"""What is found from what is new alone is what the whole join finds, cycle after cycle, whatever came and in which order."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from joined import Story, day, spec_with

from whorl.curate.candidates import candidate_steps
from whorl.examples.arrivals import Arrivals
from whorl.examples.join import Examples
from whorl.examples.joined import Joined, joined_by
from whorl.examples.rejoin import keep_joined
from whorl.examples.settle import settle
from whorl.examples.settled import Settled, settled_by
from whorl.examples.taken import TRAINING
from whorl.storage.tables import TableName, lake_schemas

IDS = [f"p{n}" for n in range(10)]
HALF = timedelta(days=0.5)
SPECS = {
    "plain": "",
    "window": 'window = "3d"',
    "lag": 'lag = "2d"',
    "default": 'window = "6d"\ndefault_after = { value = false, after = "3d" }',
}
# Of one record: which id, half days before its receipt, group, side, action, amount.
PREDICTION = st.tuples(
    st.sampled_from(IDS), st.integers(0, 12), st.sampled_from([None, "g1", "g2", "g3", "g4"]), st.booleans(),
    st.sampled_from([None, "paid", "blocked"]), st.sampled_from([None, 1.0, 2.0]),
)  # fmt: skip
LABEL = st.tuples(st.sampled_from([*IDS, "never"]), st.integers(0, 8), st.booleans())
# Some labels come at one moment.
BATCH = 2
# Of one cycle: what came, whether it made a dataset, which ids became golden, every how manieth candidate was chosen, whether
# it was settled, and small files merged.
CYCLE = st.tuples(
    st.lists(PREDICTION, max_size=8), st.lists(LABEL, max_size=6), st.integers(0, 3), st.sampled_from([None, *IDS[:3]]),
    st.integers(1, 4), st.integers(0, 3), st.integers(0, 4),
)  # fmt: skip


class Turns:
    """Cycles over one lake, found both ways."""

    def __init__(self, root: Path, labels: str) -> None:
        self.told = Story(root, spec_with(labels))
        self.folder = root / "settled"
        self.turned: list[str] = []
        self._number = 0

    def append(self, table: TableName, rows: list[dict[str, Any]]) -> None:
        if rows:
            schema = lake_schemas(self.told.spec)[table]
            self._number += 1
            self.told.lake.append(table, pa.Table.from_pylist(rows, schema=schema), "turns", self._number)

    def arrivals(self, number: int) -> Arrivals:
        told = self.told
        settled = settled_by(self.folder, told.lake, told.spec, day(number))
        return Arrivals(told.lake, told.engine, told.spec, day(number), self.turned, settled)

    def found(self, number: int, arrivals: Arrivals) -> list[dict[str, Any]]:
        return self._candidates(number, arrivals.labelled, arrivals.taken)

    def expected(self, number: int) -> list[dict[str, Any]]:
        taken = Arrivals(self.told.lake, self.told.engine, self.told.spec, day(number), self.turned)
        return self._candidates(number, self.told.as_of(number).name, taken.newly_taken())

    def settle(self, arrivals: Arrivals) -> None:
        told = self.told
        settled = settle(told.lake, told.engine, told.spec, self.folder, arrivals, self.turned, least_rows=0)
        assert settled is not None
        keep_joined(told.lake, told.engine, told.spec, self.folder / "joined", settled, rows=3)

    def kept(self, number: int) -> tuple[Joined, Settled] | None:
        told = self.told
        settled = settled_by(self.folder, told.lake, told.spec, day(number))
        joined = joined_by(self.folder / "joined", told.lake, told.spec, day(number))
        return None if settled is None or joined is None else (joined, settled)

    def examples(
        self, number: int, kept: tuple[Joined, Settled] | None
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        told = self.told
        with closing(Examples(told.lake, told.engine, told.spec, day(number), kept)) as examples:
            return examples.select(order="id").to_pylist(), examples.counts()

    def consider(
        self, number: int, rows: list[dict[str, Any]], chosen: list[dict[str, Any]], *, made: bool
    ) -> None:
        cycle_id = f"c{number}"
        today = day(number).date()
        self.append("considered", [{"cycle_id": cycle_id, "as_of": day(number), "day": today, "id": row["id"],
                                    "label": row["label"]} for row in rows])  # fmt: skip
        self.append("members", [{"dataset": TRAINING, "version": number, "day": today, "id": row["id"], "role": "case",
                                 "probability": 0.5} for row in chosen])  # fmt: skip
        if made:
            self.turned.append(cycle_id)

    def _candidates(self, number: int, examples: str, taken: str) -> list[dict[str, Any]]:
        steps = candidate_steps(examples, self.told.spec, day(number), taken)
        columns = "* EXCLUDE (entropy, draw_key)"
        return self.told.engine.query(steps.sql(f"SELECT {columns} FROM candidates ORDER BY id")).to_pylist()


def _predictions(number: int, drawn: list[Any]) -> list[dict[str, Any]]:
    rows = []
    for place, (id, ago, group, held, action, amount) in enumerate(drawn):
        received = day(number) - timedelta(hours=place)
        at = received - ago * HALF
        rows.append({"id": id, "time": at, "received_at": received, "day": at.date(), "group_id": group,
                     "split": "holdout" if held else "train", "action": action, "f_amount": amount})  # fmt: skip
    return rows


def _labels(number: int, drawn: list[Any]) -> list[dict[str, Any]]:
    rows = []
    for place, (of, ago, value) in enumerate(drawn):
        received = day(number) - timedelta(hours=place // BATCH)
        at = received - ago * HALF
        rows.append({"id": f"l{number}-{place}", "time": at, "received_at": received, "day": at.date(),
                     "prediction_id": of, "value": value})  # fmt: skip
    return rows


@pytest.mark.parametrize("labels", SPECS.values(), ids=SPECS)
@settings(max_examples=3, deadline=None, derandomize=True, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(cycles=st.lists(CYCLE, min_size=3, max_size=5))
def test_what_is_new_gives_what_the_whole_gives(labels: str, cycles: list[Any]) -> None:
    with TemporaryDirectory() as root:
        turns = Turns(Path(root), labels)
        for number, (predicted, labelled, fails, golden, every, skips, merges) in enumerate(cycles, start=1):
            turns.append("predictions", _predictions(number, predicted))
            turns.append("labels", _labels(number, labelled))
            if golden is not None:
                turns.append("members", [{"dataset": "sacred", "version": number, "day": day(number).date(), "id": golden,
                                          "role": "golden", "probability": 1.0}])  # fmt: skip
            arrivals = turns.arrivals(number)
            found = turns.found(number, arrivals)
            assert found == turns.expected(number)
            whole = turns.examples(number, None)
            assert turns.examples(number, turns.kept(number)) == whole
            if skips:
                turns.settle(arrivals)
                assert turns.kept(number) is not None
                assert turns.examples(number, turns.kept(number)) == whole
                assert turns.found(number, turns.arrivals(number)) == found, (
                    "a step that runs again finds the same"
                )
            turns.consider(number, found, found[::every][1:], made=fails > 0)
            if not merges:
                turns.told.lake.maintain()
        turns.told.engine.close()
