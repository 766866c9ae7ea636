"""Versions of the training dataset: what they hold, that they stay as they were, and how two of them differ."""

from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from shop import Shop
from whorl.datasets.build import build, rebuild, rows_of
from whorl.datasets.compare import difference
from whorl.errors import NotFound, TooFewRows
from whorl.evaluate.rows import judged_rows
from whorl.storage import dataset_versions
from whorl.train.leak import check_leaks
from whorl.train.rows import read_rows

Open = Callable[..., Shop]


def two_versions(one: Shop) -> None:
    """Five rows; one more, and a correction of the first, before the second."""
    ids = ["a", "b", "c", "d", "e"]
    one.predicts(ids, [0.1, 0.2, 0.3, 0.4, 0.5], amount=[1.0, 2.0, None, 4.0, 5.0], place="north")
    one.learns(ids, [True, False, True, False, True])
    one.dataset(one.until(2))
    one.predicts(["f"], 2.5)
    one.learns(["f", "a"], [True, False], 3.0)
    one.dataset(one.until(4), one.day(2))


def test_a_version_has_its_rows_in_order_with_the_features_of_the_spec(shop: Open) -> None:
    one = shop()
    two_versions(one)
    made, manifest = dataset_versions.get(one.ws.ledger, "shop", "training@1")
    rows = pq.read_table(made.path)
    assert rows.column_names == ["id", "time", "label", "label_time", "delay_days", "weight", "role", "reason", "probability",
                                 "age_days", "amount", "age", "place"]  # fmt: skip
    assert rows["id"].to_pylist() == ["a", "b", "c", "d", "e"]
    assert rows["label"].to_pylist() == [True, False, True, False, True]
    assert rows["amount"].to_pylist() == [1.0, 2.0, None, 4.0, 5.0]
    assert rows["age_days"].to_pylist() == pytest.approx([1.9, 1.8, 1.7, 1.6, 1.5])
    assert (made.rows, made.labelled_rows, made.as_of) == (5, 5, one.day(2))
    assert manifest.counts == {"role:labelled": 5, "reason:initial": 5}
    assert manifest.table_versions["labels"] == one.ws.lake.version("labels") - 1


def test_a_correction_changes_the_next_version_and_not_the_last_one(shop: Open) -> None:
    one = shop()
    two_versions(one)
    first, second = (dataset_versions.get(one.ws.ledger, "shop", f"training@{n}")[0] for n in (1, 2))
    assert dataset_versions.get(one.ws.ledger, "shop", "training@2")[1].counts["corrected"] == 1
    assert rows_of(one.ws, first.id).to_pylist()[0]["label"] is True
    assert rows_of(one.ws, second.id).to_pylist()[0]["label"] is False
    assert rebuild(one.ws, first.id) == first.content_hash
    assert rebuild(one.ws, second.id) == second.content_hash != first.content_hash


def test_a_correction_that_was_received_in_time_would_have_changed_it(shop: Open) -> None:
    """The hash is over what was known: the same label, received before, makes another version."""
    hashes = []
    for received in (1.5, 3.0):
        one = shop()
        one.predicts(["a", "b"])
        one.learns(["a", "b"], True, 1.0)
        one.learns(["a"], False, 1.5, received=received)
        hashes.append(one.dataset(one.day(2)).content_hash)
    assert hashes[0] != hashes[1]


def test_what_changed_between_two_versions(shop: Open) -> None:
    one = shop()
    two_versions(one)
    found = difference(one.ws, "training@1", "training@2")
    assert (found.added, found.removed, found.relabelled, found.unchanged) == (1, 0, 1, 4)
    assert found.examples == {"added": ["f"], "removed": [], "relabelled": ["a"]}
    back = difference(one.ws, "training@2", "training@1")
    assert (back.added, back.removed, back.relabelled, back.unchanged) == (0, 1, 1, 4)
    same = difference(one.ws, "training@2", "training@2")
    assert (same.added, same.removed, same.relabelled, same.unchanged) == (0, 0, 0, 6)


def test_a_window_is_made_again_the_same(shop: Open) -> None:
    one = shop('[train]\nwindow = "4d"\nreplay_rows = 20')
    one.sales(200, days=(0, 10), holdout=0.0)
    made = one.dataset(one.until(11))
    assert 20 < made.rows < 200
    assert rebuild(one.ws, made.id) == made.content_hash


def test_open_rows_are_in_it_without_a_label(shop: Open) -> None:
    one = shop('[labels]\ndelay = "survival"\nopen_rows = 10')
    one.sales(30, holdout=0.0)
    one.sales(40, name="open", labelled=False, days=(5, 10))
    made = one.dataset(one.until(11))
    rows = pq.read_table(made.path).to_pylist()
    still = [r for r in rows if r["role"] == "open"]
    assert (made.rows, made.labelled_rows, len(still)) == (40, 30, 10)
    assert {r["label"] for r in still} == {None}
    train = [r for r in one.asked(f"SELECT split FROM {one.lake('predictions')} WHERE id LIKE 'open%'")
             if r["split"] == "train"]  # fmt: skip
    assert [r["weight"] for r in still] == pytest.approx([len(train) / 10] * len(still))
    # Open rows of one version are not those of the next.
    later = pq.read_table(one.dataset(one.until(12), one.day(11)).path).to_pylist()
    assert sum(r["role"] == "open" for r in later) == 10
    assert rebuild(one.ws, made.id) == made.content_hash


def test_a_member_whose_group_turns_out_to_be_held_out_leaves(shop: Open) -> None:
    """Its answer came first, without the group, and was split by its id; the record with the group says holdout."""
    one = shop()
    one.sales(60, holdout=0.0)
    one.predicts(["early"], 1.0, score=0.7)
    one.learns(["early"], True, 2.0)
    first = one.dataset(one.until(11))
    one.predicts(["early"], 1.0, received=12.0, amount=3.0, split="holdout", group_id="ann")
    second = one.dataset(one.until(13), one.day(11))
    assert (first.rows, second.rows) == (61, 60)
    assert "early" not in pq.read_table(second.path)["id"].to_pylist()
    manifests = [m for _, m in dataset_versions.versions(one.ws.ledger, "shop")]
    assert [m.counts.get("left:holdout") for m in manifests] == [None, 1]
    assert check_leaks(one.ws, second, read_rows(second.path, one.ws.spec, second.as_of)) == []
    assert (rebuild(one.ws, first.id), rebuild(one.ws, second.id)) == (
        first.content_hash,
        second.content_hash,
    )
    # It was trained on once: it does not judge any more.
    assert len(judged_rows(one.ws, second.as_of)) == 0


def test_without_one_label_there_is_no_dataset(shop: Open) -> None:
    one = shop()
    one.sales(20, labelled=False)
    with pytest.raises(TooFewRows, match="Not one labelled training row is known") as refused:
        one.dataset(one.until(11))
    assert "outside the holdout" in refused.value.hint
    assert dataset_versions.versions(one.ws.ledger, "shop") == []


def test_nor_with_labels_of_the_holdout_alone(shop: Open) -> None:
    one = shop()
    one.sales(20, split="holdout")
    with pytest.raises(TooFewRows):
        one.dataset(one.until(11))


def test_a_cycle_makes_one_version(shop: Open) -> None:
    one = shop()
    one.sales(20, holdout=0.0)
    cases = one.curates(one.until(11))
    assert build(one.ws, cases.cycle_id, cases) == build(one.ws, cases.cycle_id, cases)
    assert len(dataset_versions.versions(one.ws.ledger, "shop")) == 1


def test_cut_short_between_members_and_ledger_it_becomes_the_same_version(shop: Open) -> None:
    one = shop()
    one.sales(20, holdout=0.0)
    cases = one.curates(one.until(11))
    ledger = one.ws.ledger
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "whorl.datasets.build.publish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            build(one.ws, cases.cycle_id, cases)
    assert dataset_versions.versions(ledger, "shop") == []
    made = build(one.ws, cases.cycle_id, cases)
    assert (made.version, made.rows) == (1, 20)


def test_an_unknown_version_is_named_with_those_there_are(shop: Open) -> None:
    one = shop()
    two_versions(one)
    with pytest.raises(NotFound, match="no dataset 'training@7'") as missing:
        rows_of(one.ws, "training@7")
    assert "training@1, training@2" in missing.value.hint
