"""What is kept of earlier cycles is derived: damage to it that shows costs time, and stops nothing."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shop import Shop
from whorl.examples.kept_list import KeptDamaged


@pytest.fixture
def one(shop: Callable[..., Shop]) -> Shop:
    """A shop with sales that were looked at by day 11, and some since."""
    opened = shop(settle_from_rows=0)
    opened.sales(200)
    assert opened.ws.settle(opened.until(11), [])
    opened.sales(20, seed=1, name="t", days=(11.0, 11.5))
    opened.learns(["s00007", "s00011", "nobody"], True, 11.5)
    return opened


def kept(one: Shop) -> Path:
    return one.ws.root / "settled" / one.ws.name


def spoil(path: Path) -> None:
    path.write_bytes(bytes(byte ^ 0x5A for byte in path.read_bytes()))


def spoil_end(path: Path) -> None:
    """Of an index: where the rows stand."""
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(byte ^ 0x5A for byte in data[half:]))


def answers(one: Shop, as_of: datetime) -> dict[str, Any]:
    arrivals, examples = one.ws.arrivals(as_of, []), one.ws.examples(as_of)
    labelled = one.ws.engine.query(f"SELECT id, label FROM {arrivals.labelled} ORDER BY id")
    return {
        "labelled": labelled.to_pylist(),
        "examples": examples.select(order="id").to_pylist(),
        "counts": examples.counts(),
    }


@pytest.mark.parametrize(("what", "harm"), [
    ("predictions/*.arrow", spoil), ("predictions/*.index", spoil_end), ("labels/*.arrow", Path.unlink),
    ("labels/*.index", spoil_end), ("waiting-*", spoil), ("unmatched-*", spoil_end), ("joined/run-*", spoil),
    ("joined/gone-*", spoil_end), ("joined/parted-*", Path.unlink),
])  # fmt: skip
def test_answers_are_those_without_it_and_it_is_made_again(
    one: Shop, what: str, harm: Callable[[Path], None]
) -> None:
    as_of = one.until(12)
    one.ws.arrivals(as_of, [])
    one.ws.examples(as_of)
    (path,) = kept(one).glob(what)
    harm(path)
    found = answers(one, as_of)
    for day in (12.1, 12.2):
        one.ws.settle(one.until(day), [])
    assert one.ws.arrivals(one.until(12.3), []).settled is not None, "it is made again"
    assert one.ws.settle(one.until(12.4), [])
    (kept(one) / "contents.json").unlink()
    assert one.ws.arrivals(one.until(12.5), []).settled is None
    one.ws.drop_examples()
    one.ws.arrivals(as_of, [])
    assert found == answers(one, as_of)


def test_rows_that_are_read_where_they_lie_say_so_and_are_left_out_the_next_time(one: Shop) -> None:
    as_of = one.until(12)
    one.ws.drop_examples()
    examples = one.ws.examples(as_of)
    _ = examples.name
    (path,) = kept(one).glob("joined/run-*")
    spoil(path)
    with pytest.raises(KeptDamaged, match="cannot be read") as raised:
        examples.select(order="id")
    assert raised.value.where == str(path)
    assert "Try again" in raised.value.hint
    found = answers(one, as_of)
    kept(one).rename(one.root / "away")
    one.ws.drop_examples()
    assert found == answers(one, as_of)


def test_it_may_be_deleted_while_it_is_read(one: Shop) -> None:
    as_of = one.until(12)
    one.ws.drop_examples()
    _ = one.ws.examples(as_of).name
    shutil.rmtree(kept(one))
    with pytest.raises(KeptDamaged, match="cannot be read"):
        one.ws.examples(as_of).select("sum(f_amount)")
    assert len(answers(one, as_of)["examples"]) == 220


def test_a_query_that_fails_for_itself_is_not_laid_to_it(one: Shop) -> None:
    examples = one.ws.examples(one.until(12))
    with pytest.raises(Exception, match="Could not convert") as raised:
        examples.select("CAST(id AS INT)")
    assert not isinstance(raised.value, KeptDamaged)
    assert (kept(one) / "joined" / "contents.json").exists()
