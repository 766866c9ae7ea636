"""What [monitor] cannot mean is refused, with what would be right."""

import pytest

from whorl.errors import SpecError
from whorl.monitor.detectors.detector import DETECTORS
from whorl.spec import checks, parse_spec

HEAD = 'name = "f"\ntask = "{task}"\n[monitor]\n{monitor}'


@pytest.mark.parametrize(
    ("task", "monitor", "said"),
    [
        ("binary", 'detectors = ["e-detektor"]', "Did you mean 'e-detector'"),
        ("regression", 'error = "wrong"', 'use "large" for a regression task'),
        ("binary", "false_alarms = 0", "false_alarms"),
        ("binary", "false_alarms = 1.0", "false_alarms"),
        ("binary", 'start_on = ["one_class"]', "start_on"),
        ("binary", "drift_floor = 1.5", "drift_floor"),
    ],
)
def test_what_cannot_be_meant_is_refused(task: str, monitor: str, said: str) -> None:
    with pytest.raises(SpecError, match="monitor") as refused:
        parse_spec(HEAD.format(task=task, monitor=monitor))
    assert said in str(refused.value)


def test_ones_own_detector_and_none_are_meant() -> None:
    spec = parse_spec(HEAD.format(task="binary", monitor='detectors = ["my.module:alarm"]\nerror = "large"'))
    assert spec.monitor.detectors == ["my.module:alarm"]
    assert parse_spec(HEAD.format(task="binary", monitor="detectors = []")).monitor.detectors == []


def test_the_names_that_are_checked_are_those_that_there_are() -> None:
    assert set(checks.DETECTORS) == set(DETECTORS)
