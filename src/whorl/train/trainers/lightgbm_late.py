"""What open rows will turn out to be, by LightGBM: two boosters that know a row's features and its step of age.

One gives the hazard (does the label of a row that is open come in this step?), the other the class of a label that comes in
it. So the delay may depend on class and features alike. Both start from the rates of each step, whatever the features, and
leave them as far as rows bear out. What comes out is the estimate only; the model is then fitted on soft rows by
`lightgbm.py`, as always. The maths is in `stats/delay/label_delay_hazards.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import lightgbm
import numpy as np

from whorl.stats.arrays import Floats, Indices
from whorl.stats.delay.label_delay import OPEN
from whorl.stats.delay.label_delay_hazards import at_risk, chances_when_open, delay_steps, step_of
from whorl.train.rows import LateRows, mean_one
from whorl.train.trainer import FitSettings
from whorl.train.trainers.lightgbm import Grid, grid_of, params_for, refusals

_TREES = 150
_MOST_ROWS = 100_000
# Rows of each class, in each step, that the rates start from: a rate is never 0 or 1.
_PRIOR = 0.5

_Answers = Callable[[Indices], Floats]
"""Chance (n, steps, classes) of each class, in every step, for rows of the grid (n,)."""


def estimate(rows: LateRows, settings: FitSettings) -> Floats:
    """Chance (m, k) of each class for the open rows (m,), given that they are open at their age."""
    grid = grid_of(rows.columns, mean_one(rows.weight), settings)
    # Evenly over labelled rows and open ones, which stand in this order, each by time.
    learnt = np.unique(np.linspace(0, len(rows.label) - 1, _MOST_ROWS).astype(np.intp))
    known = learnt[rows.label[learnt] != OPEN]
    ends = delay_steps(rows.delay[known])
    risk = at_risk(rows.delay[learnt], rows.age[learnt], ends)
    passed = _Passages(learnt[risk.row], risk.step, risk.came.astype(np.intp))
    came = _Passages(known, step_of(rows.delay[known], ends), rows.label[known])
    hazard = _learn(grid, passed, rows.weight, settings, steps=len(ends), classes=2)
    shares = _learn(grid, came, rows.weight, settings, steps=len(ends) + 1, classes=len(rows.share))
    still_open = np.flatnonzero(rows.label == OPEN)
    return chances_when_open(rows.age[still_open], ends, hazard(still_open)[:, :, 1], shares(still_open))


class _Passages(NamedTuple):
    """Rows of the grid (m,), each in a step (m,) in which it showed a class (m,)."""

    row: Indices
    step: Indices
    label: Indices


def _learn(
    grid: Grid, seen: _Passages, weight: Floats, settings: FitSettings, *, steps: int, classes: int
) -> _Answers:
    """What is likely in each step, by features; `weight` (n,) is that of the grid's rows."""
    own = mean_one(weight[seen.row])
    counts = np.full((steps, classes), _PRIOR)
    np.add.at(counts, (seen.step, seen.label), own)
    start = np.log(counts / counts.sum(axis=1, keepdims=True))
    if len(np.unique(seen.label)) < 2:
        return lambda rows: np.repeat(np.exp(start)[None], len(rows), axis=0)
    booster = _boosted(grid, seen, weight, start, settings)

    def answers(rows: Indices) -> Floats:
        score = np.repeat(start[None], len(rows), axis=0)
        for step in range(steps):
            raised = np.asarray(
                booster.predict(_in_step(grid, rows, np.full(len(rows), step)), raw_score=True)
            )
            # Two classes have one score, that of the second against the first.
            score[:, step, int(classes == 2) :] += raised.reshape(len(rows), -1)
        chance = np.exp(score - score.max(axis=2, keepdims=True))
        shares: Floats = chance / chance.sum(axis=2, keepdims=True)
        return shares

    return answers


def _boosted(
    grid: Grid, seen: _Passages, weight: Floats, start: Floats, settings: FitSettings
) -> lightgbm.Booster:
    """Trees on top of the score (steps, classes) that each step starts from; as large as for so many rows."""
    classes = start.shape[1]
    params, trees = params_for(len(np.unique(seen.row)), settings)
    own: dict[str, Any] = {**params, "objective": "multiclass", "num_class": classes}
    begin = start[seen.step]
    if classes == 2:
        # Cross entropy knows no weights of classes, as 'binary' does: those of a user would bend the rates.
        own = {**params, "objective": "cross_entropy", "num_class": 1}
        begin = begin[:, 1] - begin[:, 0]
    data = lightgbm.Dataset(
        _in_step(grid, seen.row, seen.step),
        seen.label,
        weight=mean_one(weight[seen.row]),
        init_score=begin,
        categorical_feature=[grid.names.index(name) for name in grid.levels],
        params=dict(own),
    )
    with refusals():
        return lightgbm.train(own, data, trees or _TREES)


def _in_step(grid: Grid, rows: Indices, step: Indices) -> Floats:
    return np.column_stack([grid.values[rows], step])
