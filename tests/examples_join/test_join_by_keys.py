"""The join on business keys: within a time, with a declared cardinality; what fits nothing waits, what fits many is listed."""

from pathlib import Path

import pytest
from joined import Story, story

ON = 'on = ["order", "shop"]\nwithin = "10d"\n'


def _keys(order: str, shop: str = "s") -> list[tuple[str, str]]:
    return [("order", order), ("shop", shop)]


def _three_of_one_order(told: Story) -> None:
    for number in range(3):
        told.prediction(f"p{number}", number, keys=_keys("o1"))
    told.prediction("other", 0, keys=_keys("o1", "elsewhere"))
    told.label(None, True, at=5, keys=_keys("o1"), id="l")


@pytest.mark.parametrize(
    ("cardinality", "labelled", "ambiguous"),
    [("one", [], 1), ("latest", ["p2"], 0), ("all", ["p0", "p1", "p2"], 0)],
)
def test_cardinality(tmp_path: Path, cardinality: str, labelled: list[str], ambiguous: int) -> None:
    with story(tmp_path, f'{ON}cardinality = "{cardinality}"') as told:
        _three_of_one_order(told)
        examples = told.as_of(20)
        known = examples.select("id", where="status = 'known'", order="id")["id"].to_pylist()
        counts = examples.counts()
        listed = examples.ambiguous().to_pylist()
    assert known == labelled
    assert (counts["labels.ambiguous"], counts["labels.unmatched"]) == (ambiguous, 0)
    assert [row["candidates"] for row in listed] == [["p0", "p1", "p2"]] * ambiguous
    assert [dict(row["keys"]) for row in listed] == [{"order": "o1", "shop": "s"}] * ambiguous


def test_one_is_joined_while_only_one_fits(tmp_path: Path) -> None:
    with story(tmp_path, ON) as told:
        _three_of_one_order(told)
        assert [row["status"] for row in told.rows(20)] == ["open"] * 4
        told.prediction("single", 1, keys=_keys("o2"))
        told.label(None, False, at=2, keys=_keys("o2"))
        assert told.row(20, "single")["label"] is False


def test_a_label_joins_only_what_came_shortly_before_it(tmp_path: Path) -> None:
    with story(tmp_path, f'{ON}cardinality = "all"') as told:
        told.prediction("long ago", 0, keys=_keys("o"))
        told.prediction("just in time", 1, keys=_keys("o"))
        told.prediction("afterwards", 11.5, keys=_keys("o"))
        told.label(None, True, at=11, keys=_keys("o"))
        assert {r["id"]: r["status"] for r in told.rows(30)} == {
            "long ago": "open", "just in time": "known", "afterwards": "open",
        }  # fmt: skip


def test_a_missing_key_matches_nothing(tmp_path: Path) -> None:
    with story(tmp_path, ON) as told:
        told.prediction("a", 0, keys=[("order", "o")])
        told.label(None, True, at=1, keys=[("order", "o")], id="half")
        told.label(None, True, at=1, id="none")
        examples = told.as_of(2)
        assert examples.counts()["labels.unmatched"] == 2
        assert sorted(examples.unmatched()["id"].to_pylist()) == ["half", "none"]


def test_a_waiting_label_is_joined_when_its_prediction_comes(tmp_path: Path) -> None:
    with story(tmp_path, ON) as told:
        told.label(None, True, at=3, keys=_keys("o"))
        assert told.as_of(4).counts()["labels.unmatched"] == 1
        told.prediction("a", 1, received=5, keys=_keys("o"))
        assert told.row(5)["label"] is True


def test_a_correction_by_keys_wins(tmp_path: Path) -> None:
    with story(tmp_path, ON) as told:
        told.prediction("a", 0, keys=_keys("o"))
        told.label(None, True, at=1, keys=_keys("o"))
        told.label(None, False, at=2, keys=_keys("o"))
        told.label(None, False, at=2, keys=_keys("o"))  # The same twice is not ambiguous.
        assert told.row(3)["label"] is False
        assert told.as_of(3).counts()["labels.ambiguous"] == 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("cardinality", ["one", "latest", "all"])
def test_labels_of_one_moment_and_one_id_prefer_no_value(
    tmp_path: Path, cardinality: str, turned: bool
) -> None:
    with story(tmp_path, f'{ON}cardinality = "{cardinality}"') as told:
        for number in range(40):
            told.prediction(f"p{number}", 0, keys=_keys(f"o{number}"))
            for value in (True, False) if turned else (False, True):
                told.label(None, value, at=1, keys=_keys(f"o{number}"), id=f"l{number}")
        rows, counts = told.rows(2), told.as_of(2).counts()
    assert counts["labels.contradictory"] == 40
    assert sum(row["label"] for row in rows) == 19


def test_a_label_that_names_its_prediction_needs_no_keys(tmp_path: Path) -> None:
    with story(tmp_path, ON) as told:
        _three_of_one_order(told)
        told.label("p1", False, at=6, keys=_keys("o1"))  # A reviewer's answer.
        assert [row["id"] for row in told.rows(20) if row["status"] == "known"] == ["p1"]


def test_keys_given_by_a_second_record_complete_the_first(tmp_path: Path) -> None:
    with story(tmp_path, ON) as told:
        told.prediction("a", 0, score=0.5)
        told.prediction("a", 1, keys=_keys("o"))
        told.label(None, True, at=2, keys=_keys("o"))
        assert (told.row(3)["label"], told.row(3)["score"]) == (True, 0.5)
