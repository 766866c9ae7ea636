"""The contract of a detector, and the table of those that are built in: one more is one more row.

A detector reads errors in the order in which they became known and says at which of them it was sure that there are more of
them than before. It keeps no state: asked again with more rows it gives the same answer, or goes on where there was none.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from whorl.errors import SpecError
from whorl.models.named_function import named_function, own_function
from whorl.stats.arrays import Floats


class Detector(Protocol):
    """What `[monitor] detectors` names: a function of the errors so far."""

    def __call__(self, errors: npt.ArrayLike, rate: float) -> int | None:
        """The place, from 0, of the row at which the rate of errors had surely risen; None when it has not.

        Args:
            errors: (n,) in order, each in [0, 1]; 1 is an error. No rows: None.
            rate: False alarms per row that are borne. A detector that cannot promise one pays it no heed, and says so.

        The answer depends on no row after that place. A rate that falls, or never varies, is no alarm.

        Raises:
            ValueError: A value is nan or outside [0, 1].
        """


WHERE = "monitor.detectors"
DETECTORS: dict[str, str] = {
    "e-detector": "whorl.stats.change.e_detector:first_alarm",
    "adwin": "whorl.monitor.detectors.adwin:first_alarm",
    "page-hinkley": "whorl.monitor.detectors.page_hinkley:first_alarm",
}


def detector_named(name: str, beside: Path | None = None) -> Detector:
    """The detector of this name, or the function that it is ('package.module:function').

    Raises:
        SpecError: There is no such function; or it is one's own, and raises when it is called.
    """
    if name in DETECTORS:
        return cast("Detector", named_function(DETECTORS[name], where=WHERE))
    hint = "It is called as fn(errors, rate): docs/detectors.md."
    return cast("Detector", own_function(name, where=WHERE, hint=hint, beside=beside))


def alarms(detector: Detector, errors: Floats, rate: float) -> Iterator[int]:
    """Places of all alarms: after each the detector starts anew, with what follows as its new base.

    Raises:
        SpecError: An answer is no place of a row.

    >>> from whorl.stats.change.e_detector import first_alarm
    >>> list(alarms(first_alarm, [0, 0, 0, 1] * 250 + [0, 1] * 500 + [1, 1, 1, 0] * 250, 1e-5))
    [1075, 2081]
    """
    start = 0
    while (place := detector(errors[start:], rate)) is not None:
        whole = isinstance(place, (int, np.integer)) and not isinstance(place, bool)
        if not whole or not 0 <= place < len(errors) - start:
            raise SpecError(
                f"The detector '{_name(detector)}' answered {place!r} for {len(errors) - start:,} rows.",
                where=WHERE,
                hint="It returns the place of a row, a whole number from 0, or None: docs/detectors.md.",
            )
        yield start + int(place)
        start += int(place) + 1


def _name(detector: Detector) -> str:
    return f"{getattr(detector, '__module__', '')}:{getattr(detector, '__name__', type(detector).__name__)}"
