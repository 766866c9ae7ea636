"""Quality told by the rows that people were asked for: right although those are the hard ones, and said to be told so."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.evaluate.holdout_ask import record, withdraw
from whorl.evaluate.holdout_plan import plan
from whorl.monitor.draw_quality import draw_quality
from whorl.monitor.quality import quality
from whorl.monitor.watch import watch

Open = Callable[..., Shop]
WATCH = '[monitor]\nperiod = "7d"\nmetric = "accuracy"\nmin_rows = 30\ndetectors = []\ndrift = false\n'
ROWS = 1500


class Week:
    """A week of holdout rows whose scores are calibrated, or claim more than is true, and what is true of them."""

    def __init__(self, one: Shop, number: int = 0, *, overconfident: bool = False, n: int = ROWS) -> None:
        random = np.random.default_rng(number)
        self.one, self.number = one, number
        self.ids = [f"w{number}-{i:04d}" for i in range(n)]
        self.at = 7 * number + np.sort(random.uniform(0.01, 6.5, n))
        chance = random.beta(0.4, 0.4, n)
        self.truth = dict(zip(self.ids, (random.random(n) < chance).tolist(), strict=True))
        said = np.where(chance >= 0.5, 0.5 + chance / 2, chance / 2) if overconfident else chance
        self.accuracy = float(np.mean((said >= 0.5) == np.array(list(self.truth.values()))))
        one.predicts(self.ids, self.at, split="holdout", score=said)

    def asks(self, labels: int, *, answers: float = 1.0) -> list[str]:
        """A draw at the end of the week, and the answers to the first share of it by a random order."""
        end = 7 * (self.number + 1) - 0.2
        planned = plan(self.one.ws, self.one.until(end), labels=labels)
        record(self.one.ws, planned)
        ids = planned.picked["id"].to_pylist()
        order = np.random.default_rng(self.number).permutation(len(ids))
        answered = [ids[i] for i in order[: round(answers * len(ids))]]
        self.learns(answered, end + 0.1)
        return answered

    def learns(self, ids: list[str], at: float) -> None:
        for value in (True, False):
            self.one.learns([i for i in ids if self.truth[i] is value], value, at)


def only(one: Shop, at: float = 7):
    (period,) = quality(one.ws, one.until(at))
    return period


def test_asked_rows_tell_the_accuracy_of_all_although_they_are_the_hard_ones(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one)
    asked = week.asks(200)
    period = only(one)
    among_asked = np.mean([(score >= 0.5) == week.truth[i] for i, score in scores(one, asked)])

    assert (period.method, period.rows) == ("asked", 200)
    assert period.low <= week.accuracy <= period.high
    assert period.high - period.low < 0.13
    assert among_asked < period.low


def test_a_calibrated_claim_is_not_contradicted_and_an_overconfident_one_is(shop: Open) -> None:
    calm, bold = shop(WATCH), shop(WATCH)
    Week(calm).asks(200)
    true = Week(bold, overconfident=True)
    true.asks(200)

    assert only(calm).contradicted is False
    period = only(bold)
    assert period.contradicted is True
    assert period.claimed > true.accuracy + 0.05
    assert period.low <= true.accuracy <= period.high


def test_labels_that_came_by_themselves_tell_it_as_before(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one, n=400)
    week.learns(week.ids, 6.9)
    period = only(one)

    assert (period.method, period.rows) == ("labelled", 400)
    assert period.value == pytest.approx(week.accuracy)
    assert period.claimed is not None


def test_where_nearly_all_truths_came_the_asked_ones_do_not_stand_for_the_others(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one, n=400)
    asked = week.asks(50)
    week.learns([i for i in week.ids if i not in asked], 6.95)
    period = only(one)

    assert (period.method, period.rows) == ("labelled", 400)
    assert period.value == pytest.approx(week.accuracy)


def test_truths_of_other_rows_do_not_mix_with_the_asked_ones(shop: Open) -> None:
    """Those that came by themselves are all right, say: they would make the model look better than it is."""
    one = shop(WATCH)
    week = Week(one)
    asked = set(week.asks(200))
    easy = [i for i, score in scores(one, week.ids) if i not in asked and (score >= 0.5) == week.truth[i]]
    week.learns(easy[:300], 6.95)
    period = only(one)

    assert (period.method, period.rows) == ("asked", 200)
    assert period.low <= week.accuracy <= period.high


def test_a_few_silent_rows_are_stood_for_by_their_neighbours_and_may_have_said_anything(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one)
    answered = week.asks(300, answers=0.95)
    period = only(one)
    week.learns(sorted(set(planned_ids(one)) - set(answered)), 7.1)
    whole = only(one, 7.2)

    assert (period.method, period.rows, period.waiting) == ("asked", 285, "")
    assert period.low <= week.accuracy <= period.high
    assert whole.high - whole.low < period.high - period.low < whole.high - whole.low + 0.06


def test_while_many_are_silent_the_answers_of_the_others_are_no_figure(shop: Open) -> None:
    one = shop(WATCH)
    Week(one).asks(200, answers=0.8)
    period = only(one)

    assert (period.method == "asked", period.rows, period.value, period.contradicted) == (
        False,
        0,
        None,
        None,
    )
    assert "asked for 200 rows of this period, and 160 have a truth" in period.waiting


def test_truths_that_come_by_themselves_are_no_answers_to_a_question(shop: Open) -> None:
    """Who was wronged complains. Nobody has answered the draw: figures are those of a shop that never asked, of fewer rows."""
    told, asked = [], set[str]()
    for asks in (True, False):
        one = shop(WATCH)
        week, random = Week(one), np.random.default_rng(1)
        if asks:
            week.asks(200, answers=0.0)
            asked = set(planned_ids(one))
        right = {i: (score >= 0.5) == week.truth[i] for i, score in scores(one, week.ids)}
        came = [i for i in week.ids if random.random() < (0.5 if right[i] else 0.9)]
        week.learns(came, 6.95)
        told.append(only(one))
    assert told[0].method == told[1].method
    assert told[0].rows == told[1].rows - len(asked & set(came))
    assert told[0].value == pytest.approx(told[1].value, abs=0.02)
    assert "people were asked" in told[0].waiting.lower()
    assert told[1].waiting == ""


@pytest.mark.parametrize("case", ["a draw of the first 40 %", "a draw that was withdrawn"])
def test_where_a_draw_does_not_suffice_figures_are_those_of_whoever_was_not_asked(
    shop: Open, case: str
) -> None:
    """Without the asked rows, the hard ones, the model would look better; with all that were answered, worse."""
    one, random = shop(WATCH), np.random.default_rng(4)
    week = Week(one, n=5000)
    came = [i for i in week.ids if random.random() < 0.4]
    half = [i for i, at in zip(week.ids, week.at, strict=True) if at < 2.8]
    week.learns([i for i in came if i in set(half)], 2.85)
    if case.endswith("withdrawn"):
        week.learns([i for i in came if i not in set(half)], 6.7)
        asked = week.asks(1200)
        withdraw(one.ws, "judge-0001")
    else:
        planned = plan(one.ws, one.until(2.9), labels=700)
        record(one.ws, planned)
        asked = planned.picked["id"].to_pylist()
        week.learns(asked, 2.95)
        week.learns([i for i in came if i not in set(half)], 6.7)
    period = only(one)
    hit = {i: (score >= 0.5) == week.truth[i] for i, score in scores(one, week.ids)}

    assert period.method == "labelled"
    assert period.rows == len(set(came) - set(asked))
    assert period.value == pytest.approx(np.mean([hit[i] for i in came]), abs=0.006)
    assert np.mean([hit[i] for i in {*came, *asked}]) < period.value - 0.008
    assert np.mean([hit[i] for i in set(came) - set(asked)]) > period.value + 0.008


def test_weeks_of_which_every_row_is_asked_for_are_no_decay_while_nothing_changes(shop: Open) -> None:
    one, random = shop(WATCH + "threshold = 0.75\ndecay = 0.02\n"), np.random.default_rng(0)
    n, found = 150, []
    for week in range(4):
        ids, at = [f"w{week}-{i}" for i in range(n)], 7 * week + np.sort(random.uniform(0.01, 6.5, n))
        one.predicts(ids, at, split="holdout", score=np.where(random.random(n) < 0.5, 0.2, 0.8))
        record(one.ws, plan(one.ws, one.until(7 * week + 6.8), labels=1000))
        said = dict(scores(one, ids))
        right = dict(zip(ids, random.random(n) < 0.8, strict=True))
        one.learns(ids, [bool((said[i] >= 0.5) == right[i]) for i in ids], 7 * week + 6.9)
        found += watch(one.ws, one.until(7 * week + 6.95))
    periods = quality(one.ws, one.until(28))

    assert [finding.kind for finding in found] == []
    assert np.ptp([period.value for period in periods]) > 0.03
    assert [period.high - period.low > 0.1 for period in periods] == [True] * 4
    assert sum(bool(period.contradicted) for period in periods) <= 1


def test_a_metric_that_silent_rows_may_move_anywhere_waits_for_the_last_of_them(shop: Open) -> None:
    one = shop(WATCH.replace('"accuracy"', '"auc"'))
    week = Week(one)
    answered = week.asks(300, answers=0.98)
    waits = only(one)
    week.learns(sorted(set(planned_ids(one)) - set(answered)), 7.1)
    whole = only(one, 7.2)

    assert (waits.method == "asked", waits.value) == (False, None)
    assert "how far they may move 'auc' is not known" in waits.waiting
    assert (whole.method, whole.rows, whole.waiting) == ("asked", 300, "")


def test_too_few_asked_rows_in_a_period_leave_it_to_the_others(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one)
    asked = week.asks(20)
    free = np.random.default_rng(2).permutation([i for i in week.ids if i not in asked])[:400].tolist()
    week.learns(free, 6.95)
    period = only(one)

    assert (period.method == "asked", period.rows) == (False, 400)
    assert period.low <= week.accuracy <= period.high


def test_rows_received_late_have_their_chance_in_the_next_draw(shop: Open) -> None:
    """Half of the rows come eight days late, and are often wrong: until they were asked about, no draw tells their week."""
    one, random, n = shop(WATCH), np.random.default_rng(0), 800
    true, truth = [], {}

    def asks(at: float) -> None:
        planned = plan(one.ws, one.until(at), labels=200)
        record(one.ws, planned)
        asked = planned.picked["id"].to_pylist()
        for value in (True, False):
            one.learns([i for i in asked if truth[i] is value], value, at + 0.05)

    for number in range(3):
        ids, at = [f"w{number}-{i}" for i in range(n)], 7 * number + np.sort(random.uniform(0.01, 6.8, n))
        late, said = random.random(n) < 0.5, random.random(n) < 0.5
        hit = random.random(n) < np.where(late, 0.5, 0.9)
        truth |= dict(zip(ids, (said == hit).tolist(), strict=True))
        true.append(hit.mean())
        received = np.where(late, at + 8, at)
        one.predicts(ids, at, received=received, split="holdout", score=np.where(said, 0.8, 0.2))
        asks(7 * number + 6.9)
    assert [p.method == "asked" for p in quality(one.ws, one.until(30))] == [True, True, False]
    asks(30.5)
    periods = quality(one.ws, one.until(31))
    assert [p.method for p in periods] == ["asked"] * 3
    assert all(p.low <= share <= p.high for p, share in zip(periods, true, strict=True))


def test_a_period_after_the_last_draw_goes_by_its_own_labels(shop: Open) -> None:
    one = shop(WATCH)
    first, second = Week(one), Week(one, 1, n=300)
    first.asks(200)
    second.learns(second.ids, 13.9)
    told = quality(one.ws, one.until(14))

    assert [(p.method == "asked", p.rows) for p in told] == [(True, 200), (False, 300)]
    assert told[1].low <= second.accuracy <= told[1].high


def test_another_metric_is_weighted_by_the_same_chances(shop: Open) -> None:
    one = shop(WATCH.replace('"accuracy"', '"brier"'))
    week = Week(one)
    week.asks(200)
    period = only(one)
    brier = np.mean([(score - week.truth[i]) ** 2 for i, score in scores(one, week.ids)])

    assert period.method == "asked"
    assert period.low <= brier <= period.high
    assert period.claimed is None


def test_answers_that_are_all_right_leave_an_interval(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one)
    week.truth = {i: score >= 0.5 for i, score in scores(one, week.ids)}
    week.asks(60)
    period = only(one)

    assert period.value == 1
    assert period.low is not None
    assert period.low < 1
    assert period.high == 1


def test_a_score_that_is_no_probability_claims_nothing(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one, n=100)
    one.predicts(["odd"], 3.0, split="holdout", score=1.5)
    week.learns(week.ids, 6.9)
    assert only(one).claimed is None


def planned_ids(one: Shop) -> list[str]:
    return [row["id"] for row in one.asked(f"SELECT id FROM {one.lake('asked')}")]


def scores(one: Shop, ids: list[str]) -> list[tuple[str, float]]:
    wanted = set(ids)
    rows = one.asked(f"SELECT id, score FROM {one.lake('predictions')} ORDER BY id")
    return [(row["id"], row["score"]) for row in rows if row["id"] in wanted]


def test_a_draw_over_several_periods_has_one_figure_of_all_its_rows(shop: Open) -> None:
    one = shop(WATCH.replace('"7d"', '"1d"'))
    week = Week(one)
    week.asks(200)
    (draw,) = draw_quality(one.ws, one.until(7))
    assert (draw.rows, draw.asked, draw.answered, draw.reason) == (ROWS, 200, 200, None)
    assert draw.low <= week.accuracy <= draw.high
    assert draw.high - draw.low < 0.13


def test_a_draw_of_every_row_is_exact(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one, n=300)
    week.asks(300)
    (draw,) = draw_quality(one.ws, one.until(7))
    assert draw.value == draw.low == draw.high == pytest.approx(week.accuracy)


def test_a_draw_that_few_answered_says_so_and_one_withdrawn_is_gone(shop: Open) -> None:
    one = shop(WATCH)
    Week(one).asks(200, answers=0.5)
    as_of = one.until(7)
    (draw,) = draw_quality(one.ws, as_of)
    assert (draw.value, draw.answered) == (None, 100)
    assert "nine tenths" in draw.reason
    withdraw(one.ws, draw.draw)
    assert draw_quality(one.ws, one.until(7.1)) == []


def test_a_draw_told_by_another_metric(shop: Open) -> None:
    one = shop(WATCH.replace("accuracy", "brier"))
    Week(one).asks(200)
    (draw,) = draw_quality(one.ws, one.until(7))
    assert 0 < draw.low < draw.value < draw.high < 0.25


def test_few_asked_rows_do_not_replace_many_truths_that_came_by_chance(shop: Open) -> None:
    one = shop(WATCH)
    week = Week(one)
    asked = set(week.asks(40))
    week.learns([id for id in week.ids if id not in asked][::2], 6.95)
    period = only(one)
    assert (period.method, period.rows > 600) == ("labelled", True)
    assert "as many as there are of other truths" in period.waiting


def test_an_accuracy_is_told_by_20_answers_other_metrics_by_min_rows(shop: Open) -> None:
    for metric, told in (("accuracy", True), ("log_loss", False)):
        one = shop(WATCH.replace("accuracy", metric).replace("min_rows = 30", ""))
        Week(one, n=500).asks(25)
        assert (only(one).value is not None) is told
