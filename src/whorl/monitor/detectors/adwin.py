"""ADWIN, by river: a window that grows while its halves agree, and loses its old end when they do not.

Its confidence `delta` is of one comparison of many, so that it promises no rate of false alarms; river's default is kept.
Source: Bifet & Gavalda (2007), SIAM SDM, 443-448.
"""

import numpy.typing as npt

from whorl.monitor.detectors.river_drift import river_drift
from whorl.stats.change.e_detector import checked


def first_alarm(errors: npt.ArrayLike, rate: float) -> int | None:  # noqa: ARG001
    """The row at which the window lost its old end because the errors of late are more; see `Detector`."""
    window = river_drift().ADWIN()
    for place, error in enumerate(checked(errors).tolist()):
        before = window.estimation
        window.update(error)
        if window.drift_detected and window.estimation > before:
            return place
    return None
