"""How old a row must be for its truth to tell something of how well it was answered: before, one class may be known sooner."""

from whorl.spec import Spec


def mature_s(spec: Spec) -> float:
    """Seconds: the longer of `[labels] lag` and `default_after`, before which no news is no truth yet."""
    default = spec.labels.default_after
    return max(spec.labels.lag.seconds, default.after.seconds if default is not None else 0.0)
