"""History played: the flywheel follows a change that a frozen model cannot, and nothing is known before its time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import whorl.replay.play as playing
from shop import shop_spec
from whorl.errors import TooFewRows
from whorl.replay.history import History
from whorl.replay.play import Played, Span, play
from whorl.replay.replay import replay
from whorl.replay.source import Read, read_tables
from whorl.spec import Spec
from whorl.workspace import Workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
SHIFT, N = 20.0, 1600
SCHEMA = 'label = "bad"\nlabel_time = "known_at"\nscore = "score"'
SECTIONS = """
[curate]
holdout_share = 0.1
budget = 300
[train]
params = { trees = 20 }
calibrate = false
window = "8d"
replay_rows = 0
[evaluate]
metric = "auc"
gates = []
"""
FULL = 'automation = "full"'
SPEC = shop_spec(SECTIONS, schema=SCHEMA, head=FULL)
SPAN = Span(START + timedelta(days=10), START + timedelta(days=40), timedelta(days=10))
OFTEN = Span(SPAN.start, SPAN.end, timedelta(days=5))


def day(number: float) -> datetime:
    return START + timedelta(days=float(number))


def sales(never: float = 0.1) -> pa.Table:
    """40 days; from day 20 on what was bad is good. Truth is known within two days, one in ten only after the end."""
    random = np.random.default_rng(0)
    at = np.sort(random.uniform(0, 40, N))
    amount = random.normal(size=N)
    sign = np.where(at < SHIFT, 3.0, -3.0)
    bad = random.random(N) < 1 / (1 + np.exp(-sign * amount))
    known = np.where(random.random(N) < never, 100.0, at + random.uniform(0.1, 2, N))
    return pa.table({
        "id": [f"s{i:05d}" for i in range(N)], "time": [day(t) for t in at], "amount": amount,
        "age": random.normal(size=N), "place": ["p"] * N, "bad": bad, "known_at": [day(t) for t in known],
    })  # fmt: skip


def reader() -> Read:
    return read_tables(sales())


def history(spec: Spec = SPEC) -> History:
    return reader()(spec, "replay-0")


Knew = list[tuple[datetime, set[str], set[str]]]


@pytest.fixture
def knew(monkeypatch: pytest.MonkeyPatch) -> Knew:
    """Of each cycle: when it turned, the predictions it had, and the ids whose truth it knew."""
    seen: Knew = []
    real = playing.turn

    def watched(ws: Workspace, cycle_id: str) -> Any:
        rows = ws.examples(ws.clock.now()).select("id, label").to_pylist()
        seen.append(
            (ws.clock.now(), {r["id"] for r in rows}, {r["id"] for r in rows if r["label"] is not None})
        )
        return real(ws, cycle_id)

    monkeypatch.setattr(playing, "turn", watched)
    return seen


def played(root: Path, told: History, spec: Spec = SPEC, **how: Any) -> Played:
    return play(spec, told, SPAN, root, classes=(), seed=0, **how)


def check_nothing_is_early(seen: Knew) -> None:
    rows = sales().to_pylist()
    for now, had, knew in seen:
        assert had == {r["id"] for r in rows if r["time"] < now}
        assert knew == {r["id"] for r in rows if r["known_at"] < now}


def test_no_prediction_and_no_label_is_seen_before_its_time(knew: Knew, tmp_path: Path) -> None:
    played(tmp_path, history())
    assert [now for now, _, _ in knew] == [day(d) for d in range(10, 40, 10)]
    check_nothing_is_early(knew)


def test_that_check_sees_labels_that_came_early(
    knew: Knew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = history()
    early = pa.array([day(0)] * told.labels.num_rows, told.labels.schema.field("received_at").type)
    place = told.labels.schema.get_field_index("received_at")
    monkeypatch.setattr(History, "labels_before", lambda self, _: self.labels.num_rows)
    played(tmp_path, History(told.predictions, told.labels.set_column(place, "received_at", early), "x"))
    with pytest.raises(AssertionError):
        check_nothing_is_early(knew)


def block(rows: pa.Table) -> pa.Table:
    """The company's system: what looks bad is blocked, and its truth is never known."""
    blocked = rows["score"].to_numpy() > 0.6
    columns = {
        "action": pa.array(np.where(blocked, "blocked", "paid").tolist()),
        "propensity": pa.array([1.0] * len(rows)),
    }
    for name, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    return rows


def test_the_truth_of_what_was_blocked_never_comes(knew: Knew, tmp_path: Path) -> None:
    spec = shop_spec(SECTIONS, schema=SCHEMA + '\naction = "action"\ncensored = ["blocked"]', head=FULL)
    found = played(tmp_path, history(spec), spec, act=block)
    rows = sales().to_pylist()
    replayed = [r["id"] for r in rows if r["time"] >= SPAN.start]
    hidden = {id for id, score in zip(replayed, found.predicted.tolist(), strict=True) if score > 0.6}
    assert len(hidden) > 100
    for now, _, known in knew:
        assert known == {r["id"] for r in rows if r["known_at"] < now} - hidden


def test_a_cycle_turns_each_period_and_every_row_gets_one_answer(tmp_path: Path) -> None:
    found = played(tmp_path, history())
    replayed = sum(r >= SPAN.start for r in sales()["time"].to_pylist())
    assert found.predicted.shape == (replayed,)
    assert not np.isnan(found.predicted).any()
    assert [c.as_of for c in found.cycles] == [day(d) for d in range(10, 40, 10)]
    assert found.failures == []
    later = [c.cases.cases for c in found.cycles[1:] if c.cases]
    assert found.labels_used == sum(later)
    assert max(later) <= 300


def test_answers_are_those_of_the_champion_of_the_day(tmp_path: Path) -> None:
    """Before the first cycle after the start they are those of a model that never learns again; later they are not."""
    learning = played(tmp_path / "a", history()).predicted
    frozen = played(tmp_path / "b", history(), retrain=False)
    first = sum(SPAN.start <= t < day(20) for t in sales()["time"].to_pylist())
    assert np.array_equal(learning[:first], frozen.predicted[:first])
    assert not np.allclose(learning[first:], frozen.predicted[first:])
    assert (len(frozen.cycles), frozen.labels_used, frozen.holdout_labels) == (1, 0, 0)


def test_a_cycle_that_fails_is_told_and_the_champion_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = playing.turn
    undisturbed = played(tmp_path / "undisturbed", history())

    def failing(ws: Workspace, cycle_id: str) -> Any:
        if cycle_id == "shop-0003":
            monkeypatch.setattr("whorl.cycle.fit", _ill)
            try:
                return real(ws, cycle_id)
            finally:
                monkeypatch.undo()
        return real(ws, cycle_id)

    monkeypatch.setattr(playing, "turn", failing)
    found = played(tmp_path / "failing", history())
    assert found.failures[0].startswith("2026-01-31: ")
    assert "ill" in found.failures[0]
    assert found.labels_used == undisturbed.labels_used, "its labels were bought all the same"
    assert not np.isnan(found.predicted).any()


def _ill(*_: object, **__: object) -> None:
    raise TooFewRows("The trainer is ill.", where="train")


def test_without_a_label_before_the_first_day_there_is_no_model(tmp_path: Path) -> None:
    span = Span(START + timedelta(hours=1), SPAN.end, SPAN.every)
    with pytest.raises(TooFewRows, match="No model came out of the first day: 2026-01-01: ") as none:
        play(SPEC, history(), span, tmp_path, classes=(), seed=0)
    assert "--from" in none.value.hint


def test_the_flywheel_follows_the_change_and_a_frozen_model_does_not() -> None:
    report = replay({"flywheel": SPEC}, reader(), OFTEN, baselines=("static",))
    ours, frozen = report["arms"]["flywheel"], report["arms"]["static"]
    assert report["comparisons"]["static"]["low"] > 0.2
    last, before = ours["periods"][-1]["metrics"]["auc"], ours["periods"][0]["metrics"]["auc"]
    assert last["value"] > 0.85
    assert before["value"] > 0.85
    assert frozen["periods"][-1]["metrics"]["auc"]["value"] < 0.2
    assert frozen["periods"][0]["metrics"]["auc"]["value"] > 0.85
    assert 0 < ours["labels_used"] < 6 * 300
    assert report["labels"]["predictions"] == N


def test_the_same_seed_gives_the_same_report_and_specs_play_side_by_side() -> None:
    small = shop_spec(SECTIONS.replace("budget = 300", "budget = 30"), schema=SCHEMA)
    span = Span(SPAN.start, day(20), OFTEN.every)
    reports = [replay({"wide": SPEC, "small": small}, reader(), span, baselines=()) for _ in range(2)]
    for report in reports:
        assert all(arm.pop("seconds") > 0 for arm in report["arms"].values())
    first, again = reports
    assert first == again
    assert list(first["arms"]) == ["wide", "small"]
    assert first["flywheel"] == "wide"
    assert list(first["comparisons"]) == ["small"]
    assert first["arms"]["small"]["labels_used"] < first["arms"]["wide"]["labels_used"]
    # The comparison is between what the arms say.
    gain = (
        first["arms"]["wide"]["overall"]["auc"]["value"] - first["arms"]["small"]["overall"]["auc"]["value"]
    )
    assert first["comparisons"]["small"]["value"] == pytest.approx(gain)


FOLLOWING = (
    SECTIONS
    + """
[monitor]
start_cycle = true
errors_of = "all"
min_rows = 20
drift = false
period = "1d"
"""
)


def test_a_finding_starts_a_cycle_between_those_of_the_cadence(knew: Knew) -> None:
    """Errors rise on day 20; the cadence turns on day 25, and a finding before that."""
    spec = shop_spec(FOLLOWING, schema=SCHEMA, head=FULL)
    seldom = Span(SPAN.start, SPAN.end, timedelta(days=15))
    report = replay({"following": spec, "cadence": SPEC}, reader(), seldom, baselines=())
    following, cadence = report["arms"]["following"], report["arms"]["cadence"]
    assert following["cycles_by_findings"] >= 1
    assert (cadence["cycles"], cadence["cycles_by_findings"]) == (2, 0)
    told = [one for period in following["periods"] for one in period["by_findings"]]
    assert len(told) == following["cycles_by_findings"]
    assert {one["kind"] for one in told} <= set(spec.monitor.start_on)
    assert any(day(20).isoformat() < one["at"] < day(25).isoformat() for one in told)
    assert sum(period["cycles"] for period in following["periods"]) == following["cycles"]
    assert any(day(20) < now < day(25) for now, _, _ in knew)
    assert {day(10), day(25)} <= {now for now, _, _ in knew}, "what a finding starts comes beside the cadence"
    check_nothing_is_early(knew)


def test_findings_start_no_more_cycles_than_the_spec_allows(tmp_path: Path) -> None:
    none = shop_spec(FOLLOWING + "start_at_most = 0\n", schema=SCHEMA, head=FULL)
    found = played(tmp_path, history(none), none)
    assert (found.by_findings, [c.as_of for c in found.cycles]) == ({}, [day(d) for d in range(10, 40, 10)])


def test_labels_that_never_come_are_told_and_the_first_model_stays(tmp_path: Path) -> None:
    """From the first day on no truth arrives: cycles have nothing new to learn from, and none fails."""
    told = history(shop_spec(FOLLOWING, schema=SCHEMA, head=FULL))
    silent = History(told.predictions, told.labels.slice(0, told.labels_before(SPAN.start)), "x")
    found = played(tmp_path, silent, shop_spec(FOLLOWING, schema=SCHEMA, head=FULL))
    assert found.by_findings == {}
    assert found.labels_used == 0
    assert not np.isnan(found.predicted).any()


def _one_sided(known: pa.Table) -> pa.Table:
    """From day 18 on every truth is the same."""
    same = pa.array(
        [
            at >= day(18) or bad
            for at, bad in zip(known["time"].to_pylist(), known["bad"].to_pylist(), strict=True)
        ]
    )
    return known.set_column(known.schema.get_field_index("bad"), "bad", same)


def test_a_window_of_one_class_is_told_and_the_champion_stays(tmp_path: Path) -> None:
    told = read_tables(_one_sided(sales()))(SPEC, "replay-0")
    once_again = Span(day(10), day(40), timedelta(days=18))
    found = play(SPEC, told, once_again, tmp_path / "a", classes=(), seed=0)
    frozen = play(SPEC, told, once_again, tmp_path / "b", classes=(), seed=0, retrain=False)
    assert len(found.failures) == 1
    assert "labelled rows say True: there is nothing to tell apart" in found.failures[0]
    assert np.array_equal(found.predicted, frozen.predicted)


def test_a_window_of_too_few_rows_is_said_at_the_start(tmp_path: Path) -> None:
    spec = shop_spec(SECTIONS.replace('window = "8d"', 'window = "1d"'), schema=SCHEMA, head=FULL)
    with pytest.raises(TooFewRows, match="labelled rows; 20 is the least"):
        play(spec, history(spec), SPAN, tmp_path, classes=(), seed=0)
