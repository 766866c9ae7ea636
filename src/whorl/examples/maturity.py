"""How old a row must be for its truth to tell something of how well it was answered: before, one class may be known sooner."""

from whorl.examples.join import Examples
from whorl.examples.late_truth import truth_told
from whorl.spec import Spec
from whorl.stats.delay.known_by_age import NEARLY_ALL
from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE


def mature_s(spec: Spec) -> float:
    """Seconds: the longer of `[labels] lag` and `default_after`, before which no news is no truth yet."""
    default = spec.labels.default_after
    return max(spec.labels.lag.seconds, default.after.seconds if default is not None else 0.0)


def mature_at(examples: Examples) -> str | None:
    """SQL over examples: from when on a row's truth counts without a weight for how late it comes.

    None while delays are modelled and no row is old enough to tell how late that is.
    """
    late, spec = examples.late_truth, examples.spec
    if not late.modelled:
        return f"time + INTERVAL '{mature_s(spec):.15g}' SECOND"
    if late.delays is None or not truth_told(
        examples.engine, examples.lake, examples.name, spec, examples.as_of
    ):
        return None
    days = f"{late.delays.known.age_of(NEARLY_ALL):.15g}"
    if spec.labels.horizon is not None:
        days += f" * greatest(coalesce({quoted(FEATURE + spec.labels.horizon)}, 1), 1)"
    return f"time + to_microseconds(({days} * 86400e6)::BIGINT)"
