"""River's drift detectors, where river is installed."""

from importlib import import_module
from typing import Any

from whorl.errors import SpecError


def river_drift() -> Any:
    """The module `river.drift`. Raises SpecError when river is not installed."""
    try:
        return import_module("river.drift")
    except ModuleNotFoundError as error:
        raise SpecError(
            "The detectors 'adwin' and 'page-hinkley' need river, which is not installed.",
            where="monitor.detectors",
            hint='Install it (pip install "whorl[river]"), or use detectors = ["e-detector"].',
        ) from error
