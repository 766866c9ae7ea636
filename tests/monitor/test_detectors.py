"""What every detector holds to, whoever wrote it; and that each check fails on one that does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from whorl.errors import SpecError
from whorl.monitor.detectors import river_drift
from whorl.monitor.detectors.detector import DETECTORS, Detector, alarms, detector_named
from whorl.stats.arrays import Floats
from whorl.stats.change.e_detector import checked, first_alarm

RATE = 1e-5


def stream(*parts: tuple[float, int], seed: int = 0) -> Floats:
    """Errors of one rate after the other."""
    random = np.random.default_rng(seed)
    return np.concatenate([random.random(n) < rate for rate, n in parts]).astype(float)


def finds_a_rise(detector: Detector) -> None:
    found = detector(stream((0.1, 3_000), (0.5, 1_000)), RATE)
    assert found is not None
    assert 3_000 < found < 3_400


def is_silent_where_there_is_nothing(detector: Detector) -> None:
    for errors in ([], [0.0], [1.0], [0.0] * 3_000, [1.0] * 3_000, [0.5] * 3_000, [0.0, 1.0, 0.0]):
        assert detector(np.array(errors), RATE) is None


def is_silent_while_nothing_changes(detector: Detector) -> None:
    assert [detector(stream((0.1, 5_000), seed=seed), RATE) for seed in range(5)] == [None] * 5


def is_silent_when_errors_become_fewer(detector: Detector) -> None:
    assert detector(stream((0.4, 3_000), (0.1, 1_000), seed=1), RATE) is None


def knows_nothing_of_what_comes_later(detector: Detector) -> None:
    errors = stream((0.1, 3_000), (0.5, 1_000))
    place = detector(errors, RATE)
    assert place is not None
    assert detector(errors[: place + 1], RATE) == place
    assert detector(errors[:place], RATE) is None


def says_the_same_again(detector: Detector) -> None:
    errors = stream((0.1, 3_000), (0.5, 1_000))
    assert len({detector(errors, RATE) for _ in range(5)}) == 1


def takes_losses_between_0_and_1(detector: Detector) -> None:
    place = detector(0.25 + 0.5 * stream((0.05, 3_000), (0.9, 1_000)), RATE)
    assert place is not None
    assert place >= 3_000


def refuses_what_is_no_error(detector: Detector) -> None:
    for errors in ([0.0, float("nan")], [0.0, 1.5], [-1.0, 0.0]):
        with pytest.raises(ValueError, match="not in"):
            detector(np.array(errors), RATE)


CHECKS: tuple[Callable[[Detector], None], ...] = (
    finds_a_rise,
    is_silent_where_there_is_nothing,
    is_silent_while_nothing_changes,
    is_silent_when_errors_become_fewer,
    knows_nothing_of_what_comes_later,
    says_the_same_again,
    takes_losses_between_0_and_1,
    refuses_what_is_no_error,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_holds_to_the_contract(name: str, check: Callable[[Detector], None]) -> None:
    check(detector_named(name))


def never(errors: npt.ArrayLike, rate: float) -> int | None:  # noqa: ARG001
    checked(errors)
    return None


def at_once(errors: npt.ArrayLike, rate: float) -> int | None:  # noqa: ARG001
    return 0 if len(checked(errors)) else None


def nervous(errors: npt.ArrayLike, rate: float) -> int | None:  # noqa: ARG001
    """Says so at the first four errors in a row."""
    x = checked(errors)
    run = np.convolve(x, np.ones(4), "valid") if len(x) >= 4 else np.zeros(0)
    alarm = (run >= 4) & (x.mean() < 1 if len(x) else False)
    return int(np.argmax(alarm)) + 3 if alarm.any() else None


def both_ways(errors: npt.ArrayLike, rate: float) -> int | None:
    """Takes fewer errors for a change too."""
    x = checked(errors)
    return next((at for at in (first_alarm(x, rate), first_alarm(1 - x, rate)) if at is not None), None)


def of_hindsight(errors: npt.ArrayLike, rate: float) -> int | None:  # noqa: ARG001
    """Compares with the mean of all rows, those to come included."""
    x = checked(errors)
    high = np.cumsum(x - x.mean() - 0.01) > 60 if len(x) else np.zeros(0)
    return int(np.argmax(high)) if high.any() else (len(x) - 1 if len(x) > 3_500 else None)


def moody() -> Detector:
    random = np.random.default_rng(0)

    def detector(errors: npt.ArrayLike, rate: float) -> int | None:
        found = first_alarm(errors, rate)
        return None if found is None else found + int(random.integers(3))

    return detector


def whole(errors: npt.ArrayLike, rate: float) -> int | None:
    return first_alarm(np.floor(checked(errors)), rate)


def trusting(errors: npt.ArrayLike, rate: float) -> int | None:
    return first_alarm(np.clip(np.nan_to_num(np.asarray(errors, dtype=float)), 0, 1), rate)


BROKEN = (never, at_once, nervous, both_ways, of_hindsight, moody(), whole, trusting)


@pytest.mark.parametrize(
    ("check", "broken"),
    list(zip(CHECKS, BROKEN, strict=True)),
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_each_check_fails_on_a_broken_detector(check: Callable[[Detector], None], broken: Detector) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(broken)


def test_after_an_alarm_what_follows_is_the_new_base() -> None:
    errors = stream((0.1, 3_000), (0.4, 5_000), (0.8, 500))
    first, second = alarms(first_alarm, errors, RATE)
    assert 3_000 < first < 3_200
    assert 8_000 < second < 8_200


def test_a_detector_of_ones_own_is_named_like_a_trainer(tmp_path: Path) -> None:
    (tmp_path / "my_detector.py").write_text(
        "def third(errors, rate):\n    return 2 if len(errors) > 2 else None\n"
    )
    own = detector_named("my_detector:third", tmp_path)
    assert list(alarms(own, np.zeros(7), RATE)) == [2, 5]
    with pytest.raises(SpecError, match="no function 'fourth'"):
        detector_named("my_detector:fourth", tmp_path)


def test_what_a_detector_of_ones_own_raises_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "raising_detector.py").write_text("def fails(errors, rate):\n    return errors[10 ** 9]\n")
    own = detector_named("raising_detector:fails", tmp_path)
    with pytest.raises(
        SpecError, match=r"raising_detector:fails fails .*raising_detector\.py line 2"
    ) as told:
        list(alarms(own, np.zeros(7), RATE))
    assert "IndexError" in str(told.value)
    assert "fn(errors, rate)" in str(told.value)
    assert isinstance(told.value.__cause__, IndexError)


@pytest.mark.parametrize("answer", ["float('nan')", "2.0", "True", "'3'", "[1]"])
def test_an_answer_that_is_no_place_is_named(tmp_path: Path, answer: str) -> None:
    module = "answering_" + "".join(one for one in answer if one.isalnum())
    (tmp_path / f"{module}.py").write_text(f"def says(errors, rate):\n    return {answer}\n")
    own = detector_named(f"{module}:says", tmp_path)
    with pytest.raises(SpecError, match=f"{module}:says' answered .* for 7 rows"):
        list(alarms(own, np.zeros(7), RATE))


def test_without_river_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(river_drift, "import_module", missing)
    with pytest.raises(SpecError, match="need river") as refused:
        detector_named("adwin")(np.zeros(3), RATE)
    assert "whorl[river]" in str(refused.value)


@pytest.mark.parametrize("place", [-1, 7])
def test_an_answer_that_is_no_row_is_refused(place: int) -> None:
    with pytest.raises(SpecError, match=f"answered {place} for 7 rows"):
        list(alarms(lambda errors, rate: place, np.zeros(7), RATE))  # noqa: ARG005
