"""The checker finds what it is there for: one record that is gone, doubled, or from nowhere."""

from pathlib import Path

import pyarrow as pa
import pytest
from books import Books, Found, check, compare
from deltalake import DeltaTable, write_deltalake

IDS = [f"{n:03d}" for n in range(100)]


@pytest.fixture
def books() -> Books:
    """A hundred acknowledged, one of which nobody knows what became of it."""
    made = Books()
    made.send([*IDS, "perhaps"])
    made.acknowledge(IDS)
    return made


def test_what_is_right_is_found_right(books: Books) -> None:
    assert compare(books, IDS) == Found([], [], [])
    assert compare(books, ["perhaps", *IDS]) == Found([], [], [])


def test_one_lost_one_doubled_one_unknown(books: Books) -> None:
    assert compare(books, IDS[1:]) == Found(["000"], [], [])
    assert compare(books, [*IDS, IDS[7]]) == Found([], ["007"], [])
    assert compare(books, [*IDS, "perhaps", "perhaps"]) == Found([], ["perhaps"], [])
    assert compare(books, [*IDS, "stranger"]) == Found([], [], ["stranger"])


def test_counts_that_agree_do_not_hide_it(books: Books) -> None:
    assert compare(books, [*IDS[1:], IDS[7]]) == Found(["000"], ["007"], [])


def test_it_reads_the_lake(books: Books, tmp_path: Path) -> None:
    places = {"predictions": "id", "labels": "prediction_id"}
    for table, column in places.items():
        write_deltalake(tmp_path / "lake" / "fraud" / table, pa.table({column: IDS}))
    check(books, tmp_path)
    for table, column in places.items():
        stored = DeltaTable(tmp_path / "lake" / "fraud" / table)
        stored.delete(f"{column} = '050'")
        with pytest.raises(AssertionError, match=table):
            check(books, tmp_path)
        write_deltalake(stored, pa.table({column: ["050", "051"]}), mode="append")
        with pytest.raises(AssertionError, match=table):
            check(books, tmp_path)
        stored.restore(0)


def test_nothing_acknowledged_shows_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="shows nothing"):
        check(Books(), tmp_path)
