"""A figure with its uncertainty: value, interval, and the number of rows behind it. Nothing here is reported without."""

from math import isfinite, nan
from statistics import NormalDist
from typing import Annotated

import msgspec

# Null in JSON where it is nan, and so it is described.
Figure = Annotated[float, msgspec.Meta(extra_json_schema={"extra": {"type": ["number", "null"]}})]


class Estimate(msgspec.Struct, frozen=True):
    """A value, the bounds of its interval, and how many rows it rests on; nan where undefined (null in JSON).

    >>> msgspec.json.encode(Estimate(0.5, nan, nan, 3))
    b'{"value":0.5,"low":null,"high":null,"n":3}'
    """

    value: Figure
    low: Figure
    high: Figure
    n: int


def from_standard_error(value: float, standard_error: float, n: int, *, quantile: float) -> Estimate:
    """The symmetric interval value -/+ quantile x standard error; bounds nan when the error is not known.

    >>> from_standard_error(0.8, 0.1, 50, quantile=2.0)
    Estimate(value=0.8, low=0.6000000000000001, high=1.0, n=50)
    """
    if not isfinite(value):
        return Estimate(nan, nan, nan, n)
    reach = quantile * standard_error if isfinite(standard_error) else nan
    return Estimate(value, value - reach, value + reach, n)


def normal_quantile(level: float) -> float:
    """The two-sided standard normal quantile of a confidence level in (0, 1).

    >>> round(normal_quantile(0.95), 3)
    1.96
    """
    return NormalDist().inv_cdf(0.5 + level / 2)


def student_quantile(level: float, units: float) -> float:
    """The two-sided Student quantile when the variance itself is estimated from `units` independent units; nan below 2.

    >>> round(student_quantile(0.95, 10), 3), student_quantile(0.95, 1)
    (2.262, nan)
    """
    if not units > 1:
        return nan
    from scipy.special import stdtrit

    return float(stdtrit(units - 1, 0.5 + level / 2))
