"""flywheel.toml as typed structs: every knob with its default, unit and help; a file a section. Nothing here reads files.

The help texts are the documentation: `whorl init` writes them as comments and `docs/spec.md` is made from them.
Checks that look at more than one knob are in `spec/checks.py`.
"""

from whorl.spec.knobs.capture import CaptureSpec, Consenting, Personal
from whorl.spec.knobs.curate import CurateSpec, ReasonsSpec, RuleSpec
from whorl.spec.knobs.evaluate import GateCheck, GateSpec
from whorl.spec.knobs.labels import DefaultAfter
from whorl.spec.knobs.schema import FeatureSpec, FeatureType
from whorl.spec.knobs.spec import Spec

__all__ = [
    "CaptureSpec", "Consenting", "CurateSpec", "DefaultAfter", "FeatureSpec", "FeatureType", "GateCheck", "GateSpec",
    "Personal", "ReasonsSpec", "RuleSpec", "Spec",
]  # fmt: skip
