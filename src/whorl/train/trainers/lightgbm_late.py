"""LightGBM's own estimate of what open rows will turn out to be: each tree asks again, so no outer rounds are needed.

Trees are grown on the gradient of "known as k" and "still open", so that estimate and model rise together. What comes out is
the estimate only; the model is then fitted on soft rows by `lightgbm.py`, as always.

Source: Chapelle (2014), KDD, whose EM becomes one of gradient steps here.
"""

import lightgbm
import numpy as np

from whorl.stats.arrays import Floats
from whorl.stats.label_delay import soft_target
from whorl.train.rows import LateRows, mean_one
from whorl.train.trainer import FitSettings
from whorl.train.trainers.lightgbm import grid_of, params_for

_TREES = 150
_LEAST_CURVATURE = 1e-6


def estimate(rows: LateRows, settings: FitSettings) -> Floats:
    """Chance (n, k) of each class, for known and open rows, starting from the shares of the classes."""
    weight = mean_one(rows.weight)
    params, trees = params_for(len(weight), settings)
    grid = grid_of(rows.columns, weight, settings)
    classes = len(rows.share)

    def chances(score: Floats) -> Floats:
        """Two classes have one score, that of the second against the first."""
        by_class = score.reshape(len(weight), -1)
        if classes == 2:
            by_class = np.column_stack([np.zeros(len(weight)), by_class])
        raised = rows.share * np.exp(by_class - by_class.max(axis=1, keepdims=True))
        shares: Floats = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def gradient(score: Floats, _: lightgbm.Dataset) -> tuple[Floats, Floats]:
        chance = chances(score)
        steps = (chance - soft_target(rows.label, chance, rows.survival)) * weight[:, None]
        curvature = np.maximum(chance * (1 - chance), _LEAST_CURVATURE) * weight[:, None]
        return (steps[:, 1], curvature[:, 1]) if classes == 2 else (steps, curvature)

    own = {**params, "objective": gradient, **({"num_class": classes} if classes > 2 else {})}
    if classes == 2:
        own.pop("num_class", None)
    data = grid.dataset(np.zeros(len(weight)), None, {**params, "objective": "none"})
    booster = lightgbm.train(own, data, trees or _TREES)
    return chances(np.asarray(booster.predict(grid.values, raw_score=True)))
