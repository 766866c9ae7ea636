"""What the monitor sees: quality a period at a time, its loss, and truth that does not fit; said once, and sent."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from shop import Shop
from whorl.monitor.quality import quality
from whorl.monitor.watch import watch
from whorl.records import Finding
from whorl.storage import findings
from whorl.storage.outbox import Outbox

Open = Callable[..., Shop]
WATCH = '[monitor]\nperiod = "7d"\nmetric = "accuracy"\ndetectors = []\n'
WEEK = 300


def weeks(one: Shop, right: Sequence[float], n: int = WEEK, first: int = 0, **columns: Any) -> None:
    """One week after another in which the logged answers are right in these shares."""
    for number, share in enumerate(right, start=first):
        random = np.random.default_rng(number)
        ids = [f"w{number}-{i:04d}" for i in range(n)]
        # 2026-01-01 is a Thursday, and so are the periods' edges, counted from 1970.
        at = 7 * number + np.sort(random.uniform(0.01, 6.9, n))
        truth = random.random(n) < 0.5
        said = np.where((random.permutation(n) < round(share * n)) == truth, 0.8, 0.2)
        one.predicts(ids, at, **{"split": "holdout", "score": said, **columns})
        one.learns(ids, truth.tolist(), at + 0.05)


def kinds(found: list[Finding]) -> list[str]:
    return [finding.kind for finding in found]


def test_quality_is_told_by_period_with_an_interval(shop: Open) -> None:
    one = shop(WATCH)
    weeks(one, [0.9, 0.7])
    first, second = quality(one.ws, one.until(14))
    for period, share in ((first, 0.9), (second, 0.7)):
        assert period.rows == WEEK
        assert period.low is not None
        assert period.high is not None
        assert period.low < share < period.high
        assert period.high - period.low < 0.12
    assert (first.start, second.start) == (one.day(0), one.day(7))


def test_rows_that_do_not_count_are_not_in_it(shop: Open) -> None:
    one = shop(WATCH + '[labels]\nlag = "3d"')
    weeks(one, [0.9])
    weeks(one, [0.0], first=1, split="train")
    ids = [f"mute{i}" for i in range(60)]
    one.predicts(ids, 8.0, split="holdout")
    one.learns(ids, True, 8.5)
    one.predicts([f"open{i}" for i in range(60)], 9.0, split="holdout", score=0.9)
    (only,) = quality(one.ws, one.until(14))
    assert (only.start, only.rows) == (one.day(0), WEEK)
    assert quality(one.ws, one.day(5))[0].rows < WEEK, "some are younger than the lag"


def test_a_period_of_few_rows_is_not_judged(shop: Open) -> None:
    one = shop(WATCH + "min_rows = 50\nthreshold = 0.9")
    weeks(one, [0.1], n=49)
    (only,) = quality(one.ws, one.until(7))
    assert (only.rows, only.value, only.low, only.high) == (49, None, None, None)
    assert watch(one.ws, one.day(7)) == []


@pytest.mark.parametrize(("right", "found"), [(0.6, ["below_threshold"]), (0.79, []), (0.95, [])])
def test_the_whole_interval_must_lie_below_the_threshold(shop: Open, right: float, found: list[str]) -> None:
    one = shop(WATCH + "threshold = 0.8")
    weeks(one, [0.95, right])
    seen = watch(one.ws, one.until(14))
    assert kinds(seen) == found
    for finding in seen:
        assert (finding.severity, finding.threshold) == ("critical", 0.8)
        assert finding.value == pytest.approx(right, abs=0.08)
        assert (finding.facts["period"], finding.facts["rows"]) == (one.day(7).isoformat(), WEEK)


def test_a_metric_that_wants_to_be_small_is_beyond_when_it_is_great(shop: Open) -> None:
    for threshold, found in ((0.3, ["below_threshold"]), (1.5, [])):
        one = shop(f'[monitor]\nperiod = "7d"\nmetric = "log_loss"\nthreshold = {threshold}')
        weeks(one, [0.7])
        one.clock.move_to(max(one.day(7), one.clock.now()))
        assert kinds(watch(one.ws, one.day(7))) == found


@pytest.mark.parametrize(
    ("right", "found"), [((0.9, 0.6), ["decay"]), ((0.9, 0.6, 0.9), []), ((0.9, 0.85), []), ((0.6, 0.9), [])]
)
def test_decay_is_a_sure_loss_against_the_first_period(
    shop: Open, right: Sequence[float], found: list[str]
) -> None:
    one = shop(WATCH + "decay = 0.05")
    weeks(one, right)
    seen = watch(one.ws, one.until(7 * len(right)))
    assert kinds(seen) == found
    for finding in seen:
        assert finding.severity == "warning"
        assert "worse than at first" in finding.message


def test_what_was_said_is_not_said_again_until_it_has_cooled_down(shop: Open) -> None:
    one = shop('[monitor]\ncooldown = "2d"')
    one.sales(10)
    one.learns([f"nobody{i}" for i in range(30)], True, 5.0)
    as_of = one.until(11)
    [said] = watch(one.ws, as_of)
    assert (said.kind, "whorl labels list --unmatched" in said.message) == ("unmatched_labels", True)
    one.clock.advance(timedelta(days=2, seconds=-1))
    assert watch(one.ws, one.clock.now()) == []
    one.clock.advance(timedelta(seconds=1))
    assert kinds(watch(one.ws, one.clock.now())) == ["unmatched_labels"]
    assert watch(one.ws, as_of) == [], "what a cycle that waited saw is older than what was said since"
    assert [raised.at for raised in findings.listed(one.ws.ledger, "shop")] == [one.day(13), one.day(11)]


def test_one_period_is_one_finding_however_often_it_is_looked_at(shop: Open) -> None:
    """Each finding may start a cycle, and each cycle spends from the error budget: evidence counts once."""
    one = shop(WATCH + 'threshold = 0.8\ncooldown = "1h"')
    weeks(one, [0.5])
    assert [kinds(watch(one.ws, one.until(7 + day))) for day in range(5)] == [
        ["below_threshold"],
        [],
        [],
        [],
        [],
    ]
    weeks(one, [0.5], first=1)
    assert kinds(watch(one.ws, one.until(14))) == ["below_threshold"]


def test_a_new_champion_is_not_blamed_for_the_last_ones_answers(shop: Open) -> None:
    one = shop(WATCH + "threshold = 0.8")
    weeks(one, [0.5])
    one.until(7.5)
    one.crowned(one.scored({"w0-0001": 0.5}))
    assert watch(one.ws, one.until(9)) == []
    weeks(one, [0.5], first=2)
    assert kinds(watch(one.ws, one.until(21))) == ["below_threshold"]


def test_another_kind_has_a_cooldown_of_its_own(shop: Open) -> None:
    one = shop(WATCH + "threshold = 0.8\ndecay = 0.05")
    weeks(one, [0.5])
    assert kinds(watch(one.ws, one.until(7))) == ["below_threshold"]
    one.learns([f"nobody{i}" for i in range(200)], True, 7.0)
    assert kinds(watch(one.ws, one.until(7.1))) == ["unmatched_labels"]


def test_many_labels_without_a_prediction(shop: Open) -> None:
    for strays, found in ((10, []), (30, ["unmatched_labels"])):
        one = shop()
        one.sales(100)
        one.learns([f"nobody{i}" for i in range(strays)], True, 5.0)
        one.clock.move_to(max(one.day(11), one.clock.now()))
        seen = watch(one.ws, one.day(11))
        assert kinds(seen) == found
        if seen:
            assert seen[0].message.startswith("30 labels match no prediction (100 do).")
            assert seen[0].value == 30


def test_labels_that_fit_several_predictions(shop: Open) -> None:
    one = shop('[labels]\non = ["order"]', schema='keys = { order = "order" }')
    one.predicts(["a", "b"], 0.0, keys=[[("order", "7")]] * 2)
    one.learns([None], True, 1.0, keys=[[("order", "7")]])  # type: ignore[list-item]
    (found,) = watch(one.ws, one.until(2))
    assert (found.kind, found.value) == ("ambiguous_labels", 1)


def test_an_id_that_stands_for_two_things(shop: Open) -> None:
    one = shop()
    one.predicts(["a", "b"], 0.0, score=0.2)
    one.predicts(["a"], 1.0, score=0.8)
    (found,) = watch(one.ws, one.until(2))
    assert (found.kind, found.value) == ("conflicting_ids", 1)


def test_a_truth_that_never_varies(shop: Open) -> None:
    for last, expected in ((True, ["one_class"]), (False, [])):
        one = shop("[monitor]\nmin_rows = 50")
        ids = [f"r{i}" for i in range(50)]
        one.predicts(ids)
        one.learns(ids, [*[True] * 49, last])
        one.clock.move_to(max(one.day(2), one.clock.now()))
        assert kinds(watch(one.ws, one.day(2))) == expected


def test_a_finding_is_kept_logged_and_sent(shop: Open, caplog: pytest.LogCaptureFixture) -> None:
    one = shop(WATCH + 'threshold = 0.8\nwebhook = "http://pager.example/"')
    weeks(one, [0.5])
    (seen,) = watch(one.ws, one.until(7))
    (kept,) = findings.listed(one.ws.ledger, "shop")
    assert kept.finding == seen
    assert f"shop: below_threshold: {seen.message}" in caplog.text
    (message,) = Outbox(one.ws.ledger).due(one.clock.now())
    assert message.url == "http://pager.example/"
    assert (message.body["event"], message.body["flywheel"]) == ("finding", "shop")
    assert message.body["finding"]["message"] == seen.message
    watch(one.ws, one.day(7))
    assert len(Outbox(one.ws.ledger).due(one.clock.now())) == 1


def test_without_a_webhook_nothing_waits(shop: Open) -> None:
    one = shop(WATCH + "threshold = 0.8")
    weeks(one, [0.5])
    assert watch(one.ws, one.until(7))
    assert Outbox(one.ws.ledger).due(one.clock.now()) == []


@pytest.mark.parametrize(
    ("right", "gap", "found"),
    [
        ((0.9, 0.6), 0.05, ["protected_gap"]),
        ((0.9, 0.6), 0.3, []),
        ((0.9, 0.85), 0.05, []),
        ((0.9, 0.9), 0.0, []),
    ],
)
def test_a_protected_group_that_is_served_worse_is_found(
    shop: Open, right: tuple[float, float], gap: float, found: list[str]
) -> None:
    one = shop(WATCH + f"protected_gap = {gap}", schema='protected = ["age_band"]')
    for number, (share, band) in enumerate(zip(right, ("young", "old"), strict=True)):
        weeks(one, [share], first=number, g_age_band=band)
    seen = watch(one.ws, one.until(14))
    assert kinds(seen) == found
    for finding in seen:
        assert finding.facts["groups"] == ["age_band = old"]
        assert "age_band = old: accuracy 0.6" in finding.message
    assert watch(one.ws, one.until(14.5)) == []


def test_few_rows_or_rows_of_a_former_champion_say_nothing_about_a_protected_group(shop: Open) -> None:
    one = shop(WATCH, schema='protected = ["age_band"]')
    weeks(one, [0.95], g_age_band="young")
    weeks(one, [0.1], n=40, first=1, g_age_band="old")
    assert watch(one.ws, one.until(14)) == []
    weeks(one, [0.1], first=2, g_age_band="old")
    one.until(21)
    one.crowned(one.scored({"w0-0001": 0.5}))
    assert watch(one.ws, one.clock.now()) == []


@pytest.mark.parametrize(
    ("sooner", "share", "expected"), [("errors", 0.95, []), ("hits", 0.7, ["below_threshold"])]
)
def test_decay_goes_by_all_mature_rows_whichever_truth_was_known_first(
    shop: Open, sooner: str, share: float, expected: list[str]
) -> None:
    one, random = (
        shop(WATCH + 'drift = false\nthreshold = 0.8\n[labels]\nlag = "5d"\n'),
        np.random.default_rng(0),
    )
    ids, at = [f"r{i}" for i in range(1000)], np.sort(random.uniform(0.01, 6.8, 1000))
    said, right = random.random(1000) < 0.5, random.random(1000) < share
    one.predicts(ids, at, split="holdout", score=np.where(said, 0.8, 0.2))
    late = right if sooner == "errors" else ~right
    one.learns(ids, (said == right).tolist(), 7 + np.where(late, 3.0, 0.0))
    assert kinds(watch(one.ws, one.until(20))) == expected
