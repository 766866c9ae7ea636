"""A turn of the flywheel: where each degree of automation waits, what a no does, and what a failure leaves behind."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from shop import FEATURES, Shop
from whorl.cycle import CycleReport, start, turn
from whorl.errors import StateError, TooFewRows, TrainingFailed, WhorlError
from whorl.spec import parse_spec
from whorl.storage import cycles
from whorl.storage.ledger.tables import cycles as cycle_rows
from whorl.storage.ledger.tables import specs
from whorl.workspace import open_workspace

Open = Callable[..., Shop]
TINY = "[train]\nparams = { trees = 20 }\ncalibrate = false\n"
OPEN_GATE = '[evaluate]\nwindow = "36500d"\ngates = []\n'
SHUT_GATE = '[evaluate]\nwindow = "36500d"\ngates = [{{ check = "minimum", metric = "auc", value = {value}, min_rows = {rows} }}]\n'


def opened(
    shop: Open, automation: str = "full", gates: str = OPEN_GATE, more: str = "", train: str = TINY
) -> Shop:
    one = shop(train + gates + more, head=f'automation = "{automation}"')
    one.sales(300)
    one.until(11)
    return one


def begun(one: Shop) -> CycleReport:
    return turn(one.ws, start(one.ws, "manual"))


def decide(one: Shop, report: CycleReport, decision: str, reason: str = "") -> None:
    cycles.decide(one.ws.ledger, "shop", report.id, decision, "ann", reason)  # type: ignore[arg-type]


def champion(one: Shop) -> str | None:
    found = one.ws.registry.champion()
    return found.id if found else None


@pytest.mark.parametrize(("automation", "stops"), [
    ("full", []), ("approval", ["release"]), ("semi", ["training", "release"]), ("manual", ["training", "release"]),
])  # fmt: skip
def test_where_it_waits(shop: Open, automation: str, stops: list[str]) -> None:
    one = opened(shop, automation)
    report = begun(one)
    for before in stops:
        assert report.state == "waiting"
        assert report.waiting is not None
        assert (report.waiting.what, report.waiting.where) == ("approval", before)
        assert f"whorl cycle approve {report.id}" in report.waiting.hint
        assert champion(one) is None
        trained = {"training": [], "release": ["shop/1"]}[before]
        assert [v.id for v in one.ws.registry.versions()] == trained
        assert turn(one.ws, report.id).state == "waiting", (
            "nobody has answered: turning it again changes nothing"
        )
        decide(one, report, "approve")
        report = turn(one.ws, report.id)
    assert report.state == "finished"
    assert champion(one) == "shop/1"
    assert cycles.unfinished(one.ws.ledger, "shop") is None


@pytest.mark.parametrize("before", ["training", "release"])
def test_a_no_ends_it_and_nothing_is_released(shop: Open, before: str) -> None:
    one = opened(shop, "semi" if before == "training" else "approval")
    report = begun(one)
    decide(one, report, "reject", "too early")
    report = turn(one.ws, report.id)
    assert (report.state, report.error) == (
        "rejected", {"code": "declined", "message": f"ann declined {before}: too early."},
    )  # fmt: skip
    assert champion(one) is None
    assert (report.challenger is None) == (before == "training")
    assert begun(one).id == "shop-0002"


@pytest.mark.parametrize(
    ("value", "rows", "state"), [(0.5, 20, "finished"), (0.999, 20, "rejected"), (0.5, 5000, "held")]
)
def test_the_verdict_decides_how_it_ends(shop: Open, value: float, rows: int, state: str) -> None:
    one = opened(shop, gates=SHUT_GATE.format(value=value, rows=rows))
    report = begun(one)
    assert report.state == state
    assert report.release is not None
    assert report.release.state == ("released" if state == "finished" else "kept")
    assert champion(one) == ("shop/1" if state == "finished" else None)


def test_what_is_not_good_enough_is_not_brought_before_anybody(shop: Open) -> None:
    assert begun(opened(shop, "approval", SHUT_GATE.format(value=0.999, rows=20))).state == "rejected"


def test_the_report_says_what_each_step_did(shop: Open) -> None:
    one = opened(shop)
    report = begun(one)
    assert (report.id, report.as_of, report.error, report.waiting) == ("shop-0001", one.day(11), None, None)
    assert report.cases is not None
    assert report.dataset is not None
    assert report.challenger is not None
    assert report.verdict is not None
    assert report.release is not None
    assert report.cases.cases == report.dataset.rows == report.dataset.labelled_rows
    assert report.challenger.dataset_id == report.dataset.id == "shop/training/1"
    assert report.challenger.trainer == "lightgbm"
    assert report.verdict.challenger == report.release.version == report.challenger.id
    held_out = one.asked(f"SELECT count(*) AS n FROM {one.lake('predictions')} WHERE split = 'holdout'")[0][
        "n"
    ]
    assert report.verdict.rows == held_out
    assert report.dataset.rows == 300 - held_out
    assert [step.name for step in one.ws.journal.done(report.id)] == [
        "flush", "curate", "settle", "golden", "datasets", "train", "evaluate", "release", "monitor", "ask",
    ]  # fmt: skip
    assert cycles.get(one.ws.ledger, "shop", report.id).state == "finished"


def test_a_failing_step_fails_the_cycle_in_its_own_words_and_the_next_one_starts(shop: Open) -> None:
    one = shop(TINY + OPEN_GATE, head='automation = "full"')
    one.sales(300, labelled=False)
    one.until(11)
    with pytest.raises(TooFewRows, match="Not one labelled training row") as failed:
        begun(one)
    kept = cycles.get(one.ws.ledger, "shop", "shop-0001")
    assert (kept.state, kept.step) == ("failed", "datasets")
    assert kept.error == failed.value.as_dict()
    assert kept.error is not None
    assert kept.error["code"] == "too_few_rows"
    one.sales(300, name="later", days=(11, 12))
    one.until(13)
    assert (begun(one).id, champion(one)) == ("shop-0002", "shop/1")


def test_a_trainer_that_fails_leaves_the_champion_and_its_rows_to_the_next_cycle(shop: Open) -> None:
    one = opened(shop)
    first = begun(one)
    one.sales(100, name="later", days=(11, 12))
    one.until(13)
    with pytest.MonkeyPatch.context() as patch:

        def broken(*_: object, **__: object) -> None:
            raise TrainingFailed("The trainer is ill.", where="train")

        patch.setattr("whorl.cycle.fit", broken)
        with pytest.raises(TrainingFailed, match="The trainer is ill"):
            begun(one)
    assert champion(one) == "shop/1"
    assert cycles.get(one.ws.ledger, "shop", "shop-0002").step == "train"
    third = begun(one)
    assert third.state == "finished"
    assert first.dataset is not None
    assert third.dataset is not None
    train = one.asked(f"SELECT count(*) AS n FROM {one.lake('predictions')} WHERE split = 'train'")[0]["n"]
    assert third.dataset.rows == train


def test_a_failure_before_the_dataset_loses_no_row(shop: Open) -> None:
    """Cases were chosen and then it died: the next cycle must still learn from those rows."""
    one = opened(shop)
    begun(one)
    one.sales(100, name="later", days=(11, 12))
    one.until(13)
    with pytest.MonkeyPatch.context() as patch:

        def broken(*_: object, **__: object) -> None:
            raise WhorlError("The disk is full.")

        patch.setattr("whorl.cycle.build", broken)
        with pytest.raises(WhorlError, match="The disk is full"):
            begun(one)
    report = begun(one)
    assert report.dataset is not None
    train = one.asked(f"SELECT count(*) AS n FROM {one.lake('predictions')} WHERE split = 'train'")[0]["n"]
    assert report.dataset.rows == train


def test_only_one_is_unfinished(shop: Open) -> None:
    one = opened(shop, "approval")
    report = begun(one)
    with pytest.raises(StateError, match="shop-0001 is not finished: it is waiting for approval"):
        start(one.ws, "cadence")
    decide(one, report, "approve")
    turn(one.ws, report.id)
    assert start(one.ws, "cadence") == "shop-0002"


@pytest.mark.parametrize("state", ["finished", "cancelled"])
def test_what_has_ended_does_not_turn(shop: Open, state: cycles.State) -> None:
    one = opened(shop)
    cycle = start(one.ws, "manual")
    cycles.move(one.ws.ledger, "shop", cycle, state)
    with pytest.raises(StateError, match=f"The cycle is {state}"):
        turn(one.ws, cycle)
    assert one.ws.registry.versions() == []


def test_it_sees_what_was_known_when_it_began_however_long_somebody_thinks(shop: Open) -> None:
    """Approved two days later, it is still the dataset, the model and the verdict of then."""
    one = opened(shop, "semi")
    report = begun(one)
    one.sales(200, name="later", days=(11, 12))
    one.clock.advance(timedelta(days=2))
    decide(one, report, "approve")
    again = turn(one.ws, report.id)
    assert again.as_of == one.day(11)
    assert again.dataset == report.dataset
    assert again.verdict is not None
    assert again.verdict.rows + (again.dataset.rows if again.dataset else 0) == 300


def test_a_declared_golden_set_is_made_on_the_way(shop: Open) -> None:
    gates = '[evaluate]\nwindow = "36500d"\ngates = [{ check = "golden", metric = "accuracy", margin = 1.0, min_rows = 5 }]\n'
    one = opened(shop, gates=gates, more='[curate.golden]\nname = "sacred"\nrows = 10\n')
    report = begun(one)
    assert report.verdict is not None
    assert report.verdict.decision == "promote"
    assert "10 holdout rows left out: golden." in report.verdict.notes


def test_one_that_waits_goes_on_after_an_upgrade_with_further_knobs_and_other_defaults(shop: Open) -> None:
    one = opened(shop, "approval")
    report = begun(one)
    with one.ws.ledger.write() as conn:
        body = conn.execute(sa.select(specs.c.body)).scalar_one()
        del body["monitor"], body["curate"]["guard"]
        body["cadence"] = {"every": "3d"}
        conn.execute(sa.update(specs).values(hash="of-an-older-whorl", body=body))
        conn.execute(sa.update(cycle_rows).values(spec_hash="of-an-older-whorl"))
    decide(one, report, "approve")
    assert turn(one.ws, report.id).state == "finished"
    assert champion(one) == "shop/1"


def test_one_whose_spec_was_changed_is_given_up(shop: Open) -> None:
    one = opened(shop, "approval")
    report = begun(one)
    decide(one, report, "approve")
    text = f'name = "shop"\ntask = "binary"\nautomation = "full"\n[schema.features]\n{FEATURES}\n{TINY}{OPEN_GATE}'
    with (
        open_workspace(parse_spec(text), one.ws.root, clock=one.clock, mirror=False) as ws,
        pytest.raises(StateError, match="The spec was changed"),
    ):
        turn(ws, report.id)
    assert (cycles.get(one.ws.ledger, "shop", report.id).state, champion(one)) == ("failed", None)
