"""The Page-Hinkley test, by river: how far the sum of what lies above the mean has risen over its lowest point.

Its threshold promises no rate of false alarms: that depends on the rate of errors. River's defaults are kept, for a rise only.
Source: Page (1954), Biometrika 41:100-115; Hinkley (1971), Biometrika 58:509-523.
"""

import numpy.typing as npt

from whorl.monitor.detectors.river_drift import river_drift
from whorl.stats.change.e_detector import checked


def first_alarm(errors: npt.ArrayLike, rate: float) -> int | None:  # noqa: ARG001
    """The row at which the sum passed the threshold; see `Detector`."""
    test = river_drift().PageHinkley(mode="up")
    for place, error in enumerate(checked(errors).tolist()):
        test.update(error)
        if test.drift_detected:
            return place
    return None
