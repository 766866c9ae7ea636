"""flywheel.toml: the declaration of one flywheel."""

from whorl.spec.duration import Duration
from whorl.spec.knobs import FeatureSpec, GateSpec, RuleSpec, Spec
from whorl.spec.reader import load_spec, parse_spec, spec_from_dict, spec_hash, spec_to_json, written_hash

__all__ = [
    "Duration", "FeatureSpec", "GateSpec", "RuleSpec", "Spec",
    "load_spec", "parse_spec", "spec_from_dict", "spec_hash", "spec_to_json", "written_hash",
]  # fmt: skip
