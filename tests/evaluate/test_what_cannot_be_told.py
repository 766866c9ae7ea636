"""Where a figure is undefined or an answer is missing, a gate neither passes it off as good nor stops for ever."""

import numpy as np
from trials import check, rows_of, trial

from shop import shop_spec


def test_a_segment_of_one_class_does_not_hold_what_is_better_elsewhere() -> None:
    truth = np.concatenate([np.tile([0.0, 1.0], 300), np.zeros(300)])
    place = ["north"] * 600 + ["south"] * 300
    better, worse = np.where(truth == 1, 0.9, 0.1), np.where(np.arange(900) % 3 == 0, 1 - truth, truth)
    told = trial(
        truth, better, worse, spec=shop_spec(schema='segments = ["place"]'), rows=rows_of(truth, place=place)
    )
    found = check(told, "no_segment_worse", min_rows=100)
    assert (found.decision, found.segment) == ("promote", "place = north")


def test_segments_of_which_nothing_can_be_said_are_not_called_judged() -> None:
    truth = np.zeros(300)
    truth[0] = 1.0
    told = trial(
        truth, np.linspace(0, 1, 300), 1 - np.linspace(0, 1, 300),
        spec=shop_spec(schema='segments = ["place"]'), rows=rows_of(truth, place=["north"] * 300),
    )  # fmt: skip
    assert check(told, "no_segment_worse").message == "No segment has enough rows to be judged."


def test_golden_rows_without_an_answer_are_wrong() -> None:
    truth = np.array([0.0, 0.0, 1.0])
    said = np.array([np.nan, 0.1, 0.9])
    asked = trial(truth, said)
    found = check(trial(truth, said, golden=lambda _: asked), "golden", dataset="g")
    assert (found.decision, found.value) == ("reject", 1.0)
