"""The join on the id: completion, corrections, late and early labels, defaults, censoring."""

from pathlib import Path

import pytest
from joined import day, spec_with, story

from whorl.examples.columns import example_schema
from whorl.spec import parse_spec

DEFAULT = 'window = "90d"\ndefault_after = { value = false, after = "30d" }'


def test_columns_and_types_are_those_of_the_schema(tmp_path: Path) -> None:
    for number, labels in enumerate(("", DEFAULT, 'on = ["order", "shop"]')):
        with story(tmp_path / str(number), labels) as told:
            empty = told.as_of(1).select()
            told.prediction("a", 0)
            full = told.as_of(1).select()
        assert empty.num_rows == 0
        wanted = example_schema(spec_with(labels))
        for got in (empty, full):
            assert list(zip(got.schema.names, got.schema.types, strict=True)) == [
                (f.name, f.type) for f in wanted
            ]


def test_a_label_makes_its_prediction_known(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.prediction("a", 1, score=0.2, f_amount=9.5, g_age_band="30s", scores=[("x", 0.5)])
        told.label("a", True, at=3, received=4, source="analyst")
        row = told.row(10)
    assert (row["status"], row["label"], row["label_source"], row["defaulted"]) == (
        "known",
        True,
        "analyst",
        False,
    )
    assert (row["label_time"], row["label_received_at"]) == (day(3), day(4))
    assert (row["age_days"], row["delay_days"]) == (9.0, 2.0)
    assert (row["f_amount"], row["g_age_band"], row["scores"]) == (9.5, "30s", [("x", 0.5)])


def test_only_what_was_received_counts(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.prediction("a", 1)
        told.prediction("late", 1, received=5)
        told.label("a", True, at=2, received=4)
        assert [(r["id"], r["status"]) for r in told.rows(3)] == [("a", "open")]
        assert [(r["id"], r["status"]) for r in told.rows(4)] == [("a", "known")]
        assert [(r["id"], r["status"]) for r in told.rows(5)] == [("a", "known"), ("late", "open")]


def test_the_last_received_label_wins(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.prediction("a", 0)
        told.label("a", True, at=2, received=2)
        told.label("a", False, at=1, received=3)  # Received later, though it is about an earlier time.
        assert told.row(2)["label"] is True
        assert told.row(3)["label"] is False
        told.label("a", True, at=4, received=3, id="tie")  # Received together: the later time counts.
        assert told.row(3)["label"] is True
        assert (told.row(2)["corrected"], told.row(3)["corrected"]) == (False, True)
        assert told.as_of(2).counts()["labels.corrected"] == 0
        assert told.as_of(3).counts()["labels.corrected"] == 1


def test_the_delay_is_that_of_the_first_label_whatever_corrects_it(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.prediction("a", 0)
        told.label("a", True, at=2)
        told.label("a", False, at=9)
        row = told.row(10)
        assert (row["label"], row["label_time"], row["delay_days"]) == (False, day(9), 2.0)


def test_an_early_label_waits_for_its_prediction(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.label("a", True, at=1)
        waiting = told.as_of(2)
        assert waiting.counts()["labels.unmatched"] == 1
        assert waiting.unmatched()["prediction_id"].to_pylist() == ["a"]
        told.prediction("a", 2, received=3)
        row = told.row(3)
        assert (row["status"], row["label"], row["delay_days"]) == ("known", True, -1.0)
        assert told.as_of(3).counts()["labels.unmatched"] == 0
        assert told.as_of(2).counts()["labels.unmatched"] == 1


def test_two_records_complete_each_other(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.prediction("a", 1, received=1, f_amount=3.0)
        told.prediction("a", 2, received=2, score=0.6, scores=[("x", 1.0)], f_amount=4.0)
        told.prediction("b", 1, score=0.1)
        told.label("a", True, at=3)
        assert [told.as_of(day).counts()["conflicts"] for day in (1, 3)] == [0, 1], "the amounts differ"
        assert told.row(1)["score"] is None
        row = told.row(3)
        assert [r["id"] for r in told.rows(3)] == ["a", "b"]
    assert (row["time"], row["f_amount"], row["score"], row["scores"]) == (day(1), 3.0, 0.6, [("x", 1.0)])
    assert row["label"] is True


def test_the_same_record_sent_twice_is_one(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        for _ in range(2):
            told.prediction("a", 1, received=2, score=0.5)
        told.label("a", True, at=3)
        told.label("a", True, at=3)
        assert len(told.rows(4)) == 1
        counts = told.as_of(4).counts()
        assert (counts["predictions"], counts["conflicts"]) == (1, 0)


def test_records_of_one_instant_merge_the_same_way_each_time(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        for score in (0.9, 0.1, 0.5):
            told.prediction("a", 1, score=score, scores=[("x", score)])
        assert (told.row(2)["score"], told.row(2)["scores"]) == (0.1, [("x", 0.1)])


def test_a_label_after_the_window_is_not_joined(tmp_path: Path) -> None:
    with story(tmp_path, 'window = "10d"') as told:
        for id in ("a", "b", "c"):
            told.prediction(id, 0)
        told.label("a", True, at=10)
        told.label("b", True, at=10.5)
        told.label("c", True, at=5)
        told.label("c", False, at=20)  # A correction that came too late changes nothing.
        assert told.row(9, "b")["status"] == "open"
        assert {r["id"]: (r["status"], r["label"]) for r in told.rows(30)} == {
            "a": ("known", True), "b": ("expired", None), "c": ("known", True),
        }  # fmt: skip
        assert told.as_of(30).counts()["labels.late"] == 2


def test_no_news_becomes_the_default_but_not_where_the_action_hid_the_truth(tmp_path: Path) -> None:
    with story(tmp_path, DEFAULT) as told:
        told.prediction("a", 0, action="allowed")
        told.prediction("b", 0, action="blocked")
        told.prediction("c", 0, action="blocked")
        told.prediction("d", 0)
        told.label("c", True, at=1)
        told.label("d", True, at=40)
        young = {r["id"]: r["status"] for r in told.rows(29)}
        old = {r["id"]: r for r in told.rows(30)}
        later = told.row(41, "d")
    assert young == {"a": "open", "b": "censored", "c": "known", "d": "open"}
    assert {id: r["status"] for id, r in old.items()} == {
        "a": "defaulted", "b": "censored", "c": "known", "d": "defaulted",
    }  # fmt: skip
    assert {id: r["censored"] for id, r in old.items()} == {"a": False, "b": True, "c": True, "d": False}
    a = old["a"]
    assert (a["label"], a["label_source"], a["defaulted"], a["delay_days"]) == (False, "default", True, 30.0)
    assert (a["label_time"], a["label_received_at"]) == (day(30), day(30))
    assert old["b"]["label"] is None
    assert (later["status"], later["label"], later["defaulted"]) == ("known", True, False)  # News after all.


@pytest.mark.parametrize(
    ("task", "value", "label"),
    [("multiclass", '"none"', "none"), ("regression", "1", 1.0), ("generation", '"fine"', '"fine"')],
)
def test_the_default_has_the_tasks_type(tmp_path: Path, task: str, value: str, label: object) -> None:
    spec = parse_spec(
        f'name = "f"\ntask = "{task}"\n[train]\ntrainer = "external"\n[labels]\ndefault_after = {{ value = {value}, after = "12h" }}'
    )
    with story(tmp_path, spec=spec) as told:
        told.prediction("a", 0)
        assert (told.row(0.4)["label"], told.row(0.5)["label"]) == (None, label)


def test_the_past_stays_as_it_was(tmp_path: Path) -> None:
    with story(tmp_path, DEFAULT) as told:
        for number in range(8):
            told.prediction(f"p{number}", number, score=number / 10)
            told.label(f"p{number}", number % 2 == 0, at=number + 2)
        before = told.rows(7)
        for number in range(8):
            told.prediction(f"p{number}", number, received=20, score=0.99, action="blocked")
            told.label(f"p{number}", True, at=number + 1, received=21)
        told.prediction("new", 5, received=22)
        assert told.rows(7) == before
        told.lake.maintain()
        assert told.rows(7) == before
        assert told.rows(30) != before


def test_counts_add_up(tmp_path: Path) -> None:
    with story(tmp_path, DEFAULT) as told:
        told.prediction("a", 0, split="holdout")
        told.prediction("b", 0)
        told.prediction("c", 29, action="blocked")
        told.label("b", True, at=1)
        told.label("nobody", True, at=1)
        counts = told.as_of(30).counts()
    assert {key: n for key, n in counts.items() if n} == {
        "predictions": 3, "holdout.defaulted": 1, "train.known": 1, "train.censored": 1,
        "labels": 2, "labels.unmatched": 1,
    }  # fmt: skip
    assert counts["train.open"] == 0


def test_examples_are_joined_once_and_dropped(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        told.prediction("a", 0)
        examples = told.as_of(1)
        name = examples.name
        told.prediction("b", 0)
        assert examples.select("id")["id"].to_pylist() == ["a"]
        assert (examples.name, examples.select("id", where="score > 1").num_rows) == (name, 0)
        examples.close()
        left = told.engine.query("SELECT table_name FROM duckdb_tables()")["table_name"].to_pylist()
        assert left == []


@pytest.mark.parametrize("turned", [False, True])
def test_labels_of_one_moment_prefer_no_value(tmp_path: Path, turned: bool) -> None:
    """Neither by what they say nor by the order in which they came, as one file or two."""
    with story(tmp_path) as told:
        for number in range(60):
            told.prediction(f"p{number}", 0)
            for value in (True, False) if turned else (False, True):
                told.label(f"p{number}", value, at=2, received=3)
        told.prediction("same", 0)
        for source in ("a", "b"):
            told.label("same", True, at=2, received=3, id=source, source=source)
        rows = {row["id"]: row for row in told.rows(5)}
        assert told.as_of(5).counts()["labels.contradictory"] == 60
    assert not rows.pop("same")["contradictory"]
    assert sum(row["label"] for row in rows.values()) == 28
    assert all(row["contradictory"] and row["corrected"] for row in rows.values())
