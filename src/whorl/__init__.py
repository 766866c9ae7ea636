"""Whorl: a data flywheel in a box.

    import whorl

    flywheel = whorl.open("fraud.toml")
    flywheel.log_prediction({...})
    flywheel.log_label("txn_1", True)
    report = flywheel.run_cycle()

Names are loaded when they are first used, so that importing Whorl costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whorl.client.client import Client
    from whorl.client.connect import connect, track
    from whorl.errors import WhorlError
    from whorl.flywheel import Flywheel
    from whorl.flywheel import open_flywheel as open
    from whorl.records import Accepted, Check, Feedback, Label, Prediction, Verdict
    from whorl.spec import Spec, load_spec

_HOMES = {
    "Accepted": "whorl.records",
    "Check": "whorl.records",
    "Client": "whorl.client.client",
    "Feedback": "whorl.records",
    "Flywheel": "whorl.flywheel",
    "Label": "whorl.records",
    "Prediction": "whorl.records",
    "Spec": "whorl.spec",
    "Verdict": "whorl.records",
    "WhorlError": "whorl.errors",
    "connect": "whorl.client.connect",
    "load_spec": "whorl.spec",
    "open": "whorl.flywheel:open_flywheel",
    "track": "whorl.client.connect",
}

__all__ = [
    "Accepted",
    "Check",
    "Client",
    "Feedback",
    "Flywheel",
    "Label",
    "Prediction",
    "Spec",
    "Verdict",
    "WhorlError",
    "connect",
    "load_spec",
    "open",
    "track",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'whorl' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute or name)
