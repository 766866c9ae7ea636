"""A metric as a spec names it: built in, or 'package.module:function' of the user's, e.g. money."""

from pathlib import Path

from whorl.models.named_function import own_function
from whorl.spec import Spec
from whorl.stats.metrics.metric import Metric, metric_named


def spec_metric(spec: Spec, name: str, beside: Path | None) -> Metric:
    """The metric of this name. Raises NotFound or SpecError."""
    if ":" not in name:
        return metric_named(name)
    hint = "It is called as fn(truth, prediction, weight), and returns a number: docs/gates.md."
    function = own_function(name, where="evaluate.metric", hint=hint, beside=beside)
    return Metric(name, function, spec.evaluate.greater_is_better)
