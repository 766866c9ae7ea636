"""A metric as a spec names it: built in, or 'package.module:function' of the user's, e.g. money.

What a function of the user's answers is looked at here: a number, or nan where the figure is undefined. An infinity is taken
for nan, because no difference of such figures could decide anything.
"""

from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whorl.errors import SpecError
from whorl.models.named_function import own_function
from whorl.spec import Spec
from whorl.stats.metrics.metric import Metric, metric_named

_WHERE = "evaluate.metric"
_HINT = "It is called as fn(truth, prediction, weight), and returns a number: docs/gates.md."


def spec_metric(spec: Spec, name: str, beside: Path | None) -> Metric:
    """The metric of this name. Raises NotFound or SpecError."""
    if ":" not in name:
        return metric_named(name)
    function = own_function(name, where=_WHERE, hint=_HINT, beside=beside)

    def figure(
        truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None, /
    ) -> float:
        return _number(name, function(truth, prediction, weight))

    return Metric(name, figure, spec.evaluate.greater_is_better)


def _number(name: str, answer: Any) -> float:
    found = np.asarray(answer)
    if found.ndim or found.dtype.kind not in "biuf":
        shown = f"an array of shape {found.shape}" if found.ndim else repr(answer)
        raise SpecError(f"{name} answered {shown}.", where=_WHERE, hint=_HINT)
    return float(found) if isfinite(found) else nan
