"""Golden and edge sets: golden rows are fixed, and never trained on; edge sets gather the cases of a reason."""

from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from shop import NO_REASONS, Shop
from whorl.datasets.build import rebuild
from whorl.datasets.named import declared_golden_set, make_edge_set, make_golden_set
from whorl.errors import NotFound, RuleError, StateError
from whorl.records import DatasetVersion
from whorl.storage import dataset_versions

Open = Callable[..., Shop]
RULE = '\n[[curate.rules]]\nname = "dear"\nwhen = "amount > 1"'


def ids(made: DatasetVersion) -> list[str]:
    return sorted(pq.read_table(made.path)["id"].to_pylist())


def test_declared_golden_rows_come_from_the_holdout_once(shop: Open) -> None:
    one = shop('[curate.golden]\nname = "sacred"\nwhen = "amount > 0"\nrows = 15')
    told = one.sales(200)
    made = declared_golden_set(one.ws, one.until(11))
    assert made is not None
    wanted = {i for i, split, amount in zip(told["id"], told["split"], told["amount"], strict=True)
              if split == "holdout" and amount > 0}  # fmt: skip
    assert len(ids(made)) == 15 < len(wanted)
    assert set(ids(made)) < wanted
    one.sales(50, name="later", days=(11, 12))
    assert declared_golden_set(one.ws, one.until(13)) is None
    assert rebuild(one.ws, made.id) == made.content_hash


def test_it_waits_until_there_are_such_rows(shop: Open) -> None:
    one = shop('[curate.golden]\nwhen = "amount > 100"')
    one.sales(50)
    assert declared_golden_set(one.ws, one.until(11)) is None
    one.sales(5, name="dear", days=(11, 12), amount=500.0, split="holdout")
    made = declared_golden_set(one.ws, one.until(13))
    assert made is not None
    assert made.rows == 5


def test_golden_rows_of_the_training_split_are_never_trained_on(shop: Open) -> None:
    one = shop()
    told = one.sales(100, holdout=0.0)
    golden = make_golden_set(one.ws, "sacred", one.until(11), where="amount > 1")
    assert ids(golden) == [i for i, amount in zip(told["id"], told["amount"], strict=True) if amount > 1]
    trained = one.dataset(one.until(12))
    assert set(ids(trained)).isdisjoint(ids(golden))
    assert trained.rows + golden.rows == 100


def test_what_was_trained_on_cannot_become_golden(shop: Open) -> None:
    one = shop()
    one.sales(20, holdout=0.0)
    one.dataset(one.until(11))
    with pytest.raises(StateError, match="No labelled row is left"):
        make_golden_set(one.ws, "sacred", one.until(12), where="amount > -99")
    one.sales(3, name="later", days=(12, 13), holdout=0.0)
    made = make_golden_set(one.ws, "sacred", one.until(14), where="amount > -99")
    assert ids(made) == ["later00000", "later00001", "later00002"]


def test_a_golden_set_is_made_once(shop: Open) -> None:
    one = shop()
    one.sales(20)
    make_golden_set(one.ws, "sacred", one.until(11), ids=["s00001"])
    for name in ("sacred", "training"):
        with pytest.raises(StateError, match=f"There is a dataset '{name}' already"):
            make_golden_set(one.ws, name, one.day(11), ids=["s00002"])


def test_a_rule_that_is_not_allowed_is_refused(shop: Open) -> None:
    one = shop()
    one.sales(20)
    with pytest.raises(RuleError):
        make_golden_set(one.ws, "sacred", one.until(11), where="id IN (SELECT id FROM secrets)")
    assert dataset_versions.versions(one.ws.ledger, "shop") == []


def test_golden_rows_keep_the_label_they_were_fixed_with(shop: Open) -> None:
    one = shop()
    one.predicts(["a"])
    one.learns(["a"], [True])
    made = make_golden_set(one.ws, "sacred", one.until(2), ids=["a"])
    one.learns(["a"], [False], 3.0)
    one.until(4)
    assert rebuild(one.ws, made.id) == made.content_hash
    assert pq.read_table(made.path)["label"].to_pylist() == [True]


def test_every_case_of_a_reason_so_far(shop: Open) -> None:
    one = shop(f"[curate]\n{NO_REASONS}" + RULE)
    one.sales(20, name="first", days=(0, 1), holdout=0.0, amount=5.0)
    one.dataset(one.until(2))
    told = one.sales(100, name="later", days=(2, 3), holdout=0.0)
    one.dataset(one.until(4), one.day(2))
    made = make_edge_set(one.ws, "dear", one.day(4))
    dear = [i for i, amount in zip(told["id"], told["amount"], strict=True) if amount > 1]
    assert (made.name, made.version, ids(made)) == ("edge-dear", 1, dear)
    again = make_edge_set(one.ws, "dear", one.day(4))
    assert (again.version, ids(again)) == (2, dear)
    assert make_edge_set(one.ws, "dear", one.day(4), name="mine").name == "mine"


def test_a_reason_that_no_case_has(shop: Open) -> None:
    one = shop()
    one.sales(20, holdout=0.0)
    one.dataset(one.until(11))
    with pytest.raises(NotFound, match="No case has the reason 'dear'") as missing:
        make_edge_set(one.ws, "dear", one.day(11))
    assert "initial" in missing.value.hint


def test_an_edge_set_is_no_obstacle_to_training(shop: Open) -> None:
    """Its rows are training rows still: they stay in the next version."""
    one = shop()
    one.sales(20, holdout=0.0)
    one.dataset(one.until(11))
    make_edge_set(one.ws, "initial", one.day(11))
    one.sales(5, name="later", days=(11, 12), holdout=0.0)
    assert one.dataset(one.until(13), one.day(11)).rows == 25
