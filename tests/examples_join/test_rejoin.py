"""What is kept of the join counts only where it was made from this lake and these rules, and outlives whoever writes it.

That it says what the whole join says is shown in test_arrivals.py, over random histories.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from joined import Story, day, spec_with

from whorl.errors import StorageError
from whorl.examples import joined
from whorl.examples.arrivals import Arrivals
from whorl.examples.join import Examples
from whorl.examples.joined import Joined, joined_by
from whorl.examples.rejoin import keep_joined
from whorl.examples.settle import settle
from whorl.examples.settled import Settled, settled_by
from whorl.spec import Spec
from whorl.storage.engine import Engine


class Kept:
    """A story of which the join is kept."""

    def __init__(self, root: Path) -> None:
        self.told, self.folder = Story(root, spec_with()), root / "kept"

    def settled(self, number: float) -> Settled:
        told = self.told
        before = settled_by(self.folder, told.lake, told.spec, day(number))
        arrivals = Arrivals(told.lake, told.engine, told.spec, day(number), (), before)
        found = settle(told.lake, told.engine, told.spec, self.folder, arrivals, (), least_rows=0)
        assert found is not None
        return found

    def keep(self, number: float) -> Joined:
        told = self.told
        return keep_joined(told.lake, told.engine, told.spec, self.folder / "joined", self.settled(number))

    def joined(self, number: float, spec: Spec | None = None) -> Joined | None:
        return joined_by(self.folder / "joined", self.told.lake, spec or self.told.spec, day(number))

    def examples(self, number: float, *, whole: bool = False) -> Examples:
        told = self.told
        settled, joined = settled_by(self.folder, told.lake, told.spec, day(number)), self.joined(number)
        kept = None if whole or settled is None or joined is None else (joined, settled)
        return Examples(told.lake, told.engine, told.spec, day(number), kept)

    def same_as_whole(self, number: float) -> bool:
        with closing(self.examples(number)) as found, closing(self.examples(number, whole=True)) as whole:
            return (
                found.select(order="id").to_pylist() == whole.select(order="id").to_pylist()
                and found.counts() == whole.counts()
            )

    def files(self) -> set[str]:
        return {path.name for path in (self.folder / "joined").iterdir()}


@pytest.fixture
def kept(tmp_path: Path) -> Any:
    one = Kept(tmp_path)
    for number in range(4):
        one.told.prediction(f"p{number}", number, group_id=f"g{number % 2}")
        one.told.label(f"p{number}", True, number + 0.5)
    yield one
    one.told.engine.close()


def test_only_what_something_came_for_is_joined_anew(kept: Kept) -> None:
    kept.keep(1.2)
    examples = kept.examples(2.2)
    assert examples.select("id", order="id")["id"].to_pylist() == ["p0", "p1", "p2"]
    fresh = kept.told.engine.query(f"SELECT id FROM {examples.name}_fresh ORDER BY id")["id"].to_pylist()
    assert fresh == ["p1", "p2"], "p1 has a label since, p2 is new"
    examples.close()
    assert kept.same_as_whole(2.2)


def test_not_before_its_time_and_not_under_other_rules(kept: Kept) -> None:
    kept.keep(2)
    assert kept.joined(1.5) is None
    assert kept.joined(3, spec_with('window = "3d"')) is None
    assert kept.joined(3, spec_with('lag = "1d"')) is not None


@pytest.mark.parametrize("content", [b"", b"{", b'{"as_of": 3}', b"\xff\x00"])
def test_where_its_list_cannot_be_read_everything_is_joined(kept: Kept, content: bytes) -> None:
    kept.keep(2)
    (kept.folder / "joined" / "contents.json").write_bytes(content)
    assert kept.joined(3) is None
    assert kept.same_as_whole(3)
    kept.keep(3)
    assert kept.joined(3) is not None
    assert kept.same_as_whole(3.7)


def test_a_group_that_comes_to_stand_on_both_sides_parts_and_a_completed_record_mends_it(kept: Kept) -> None:
    kept.keep(2)
    kept.told.prediction("other", 2.5, group_id="g0", split="holdout")
    kept.told.prediction("late", 2.6, split="holdout")
    assert kept.same_as_whole(2.7)
    kept.keep(2.7)
    assert kept.examples(2.7).counts()["parted.known"] == 2
    kept.told.prediction("late", 2.6, 2.8, group_id="g1", split="train")
    kept.keep(3)
    assert kept.same_as_whole(3)
    assert kept.same_as_whole(3.6)


def test_who_reads_what_counted_before_may_go_on(kept: Kept) -> None:
    kept.keep(1)
    with closing(kept.examples(1)) as reading:
        before = reading.select(order="id")
        kept.keep(2)
        assert reading.select(order="id") == before


def test_who_begins_while_it_is_brought_to_a_later_time_finds_what_counted_before(kept: Kept) -> None:
    kept.keep(1.2)
    with closing(kept.examples(2.2)) as reading, closing(kept.examples(2.2, whole=True)) as whole:
        kept.keep(3)
        assert reading.select(order="id") == whole.select(order="id")


def test_small_cycles_do_not_leave_as_many_files(kept: Kept) -> None:
    for half in range(1, 9):
        kept.keep(half / 2)
    assert sum(name.startswith("run-") for name in kept.files()) <= 2
    assert kept.same_as_whole(4)


def test_full_runs_stay_as_they_are(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "FULL_RUN", 2)
    for number in (1.2, 2.2, 3.2):
        kept.keep(number)
    assert len(kept.keep(3.9).contents.runs) > 1
    assert kept.same_as_whole(4)


@pytest.mark.parametrize("stage", ["run", "gone", "unmatched", "parted"])
def test_who_dies_while_writing_leaves_what_counted(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    kept.keep(1)
    write = Engine.write

    def dying(self: Engine, path: Path, sql: str) -> int:
        written = write(self, path, sql)
        if path.name.startswith(stage):
            raise StorageError("No space left on device.")
        return written

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "write", dying)
        with pytest.raises(StorageError):
            kept.keep(2)
    found = kept.joined(2)
    assert found is not None
    assert found.as_of == day(1)
    assert kept.same_as_whole(2)
    kept.keep(2)
    assert kept.same_as_whole(3)


@pytest.mark.parametrize("name", ["joined/run-*", "joined/gone-*", "joined/unmatched-*", "joined/parted-*",
                                  "predictions/*.arrow", "predictions/*.index", "unmatched-*"])  # fmt: skip
@pytest.mark.parametrize("left", [None, 0, 8])
def test_where_a_file_is_missing_or_cut_short_everything_is_joined_and_kept_anew(
    kept: Kept, name: str, left: int | None
) -> None:
    kept.keep(1.2)
    kept.keep(2.2)
    damaged = sorted(kept.folder.glob(name))[-1]
    if left is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:left])
    assert kept.same_as_whole(2.7)
    kept.keep(3)
    assert kept.joined(3) is not None
    assert kept.same_as_whole(3.7)


def test_who_begins_while_it_is_made_in_parts_goes_on_after_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Examples] = []
    add = Joined.add

    def read_in_between(self: Joined, *args: Any) -> Joined:
        made = add(self, *args)
        began.append(kept.examples(4))
        return made

    monkeypatch.setattr(Joined, "add", read_in_between)
    found = keep_joined(
        kept.told.lake, kept.told.engine, kept.told.spec, kept.folder / "joined", kept.settled(4), rows=1
    )
    assert found.contents.number > 2
    for examples in began:
        with closing(examples):
            assert examples.select("id", order="id")["id"].to_pylist() == ["p0", "p1", "p2", "p3"]


def test_what_is_appended_after_they_were_made_is_not_seen(kept: Kept) -> None:
    kept.keep(1.2)
    with closing(kept.examples(3)) as found, closing(kept.examples(3, whole=True)) as whole:
        kept.told.prediction("later", 2.5)
        assert found.select("id", order="id") == whole.select("id", order="id")
        kept.told.label("p0", False, 2.6)
        assert found.counts() == whole.counts()


def test_a_folder_whose_name_reads_as_a_pattern_is_that_folder_alone(tmp_path: Path) -> None:
    for number, name in enumerate(["a?b", "axb"]):
        one = Kept(tmp_path / name)
        one.told.prediction(f"p{number}", 0)
        one.keep(1)
        assert one.same_as_whole(1)
        one.told.engine.close()
    one = Kept(tmp_path / "a?b")
    assert one.same_as_whole(1)
    one.told.engine.close()
