"""Where each field of a captured record lies in the raw one: [schema] as resolved paths.

A field that [schema] does not name is looked for under its own name, unless a feature, key or protected attribute has
that name. With `native=True` every field is looked for under its own name, whatever [schema] says: that is how code
which builds records itself (`flywheel.predict(...)`) and a company's own JSON go through one mapping.
"""

from whorl.capture.paths import Path, Remainder
from whorl.client.encode import LOGGED_AT
from whorl.spec import Spec

# Field of a Prediction: knob of [schema] that says where it is; None where only the own name serves.
_KNOBS: dict[str, str | None] = {
    "score": "score",
    "scores": "scores",
    "output": "output",
    "items": "items",
    "messages": "messages",
    "content": "content",
    "action": "action",
    "propensity": "propensity",
    "model_version": "model_version",
    "feature_version": "feature_version",
    "variant": None,
    "trace_id": None,
    "parent_id": None,
    "latency_ms": "latency",
    "cost_usd": "cost",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
}


class Fields:
    """Paths for one spec.

    Attributes:
        prediction: Path by field of Prediction, beside the id, time, group, session and the dictionaries.
        logged_at: When the client logged a record. It stands in for a missing time, and is never kept in `extra`.
        declared: Those of them that [schema] names: a wrong type there is refused, not left in `extra`.
        features: Candidate paths by feature; the first that is there counts.
        label_parent: The object that holds the label and nothing of the prediction (`ground_truth`): all of it is
            kept out of the prediction, and its `timestamp` is the label's time unless [schema] says otherwise.
    """

    def __init__(self, spec: Spec, *, native: bool = False) -> None:
        schema = spec.schema
        taken = {(f.path or name) for name, f in spec.features.items()}
        taken |= set(schema.keys.values()) | set(spec.protected.values())

        def path(knob: str | None, own: str) -> Path | None:
            declared = None if knob is None or native else getattr(schema, knob)
            if declared is None and own in taken and not native:
                return None
            return Path(declared or own)

        self.id = Path("id" if native else schema.id)
        self.time = Path("time" if native else schema.time)
        self.logged_at = Path(LOGGED_AT)
        self.group = path("group", "group")
        self.session = path("session", "session")
        self.prediction = {
            name: found for name, knob in _KNOBS.items() if (found := path(knob, name)) is not None
        }
        self.declared = {name for name, knob in _KNOBS.items() if native or (knob and getattr(schema, knob))}
        self.keys = {name: Path(f"keys.{name}" if native else where) for name, where in schema.keys.items()}
        self.protected = {
            name: Path(f"protected.{name}" if native else where) for name, where in spec.protected.items()
        }
        self.features: dict[str, tuple[Path, ...]] = {
            name: self._feature(name, feature.path, native) for name, feature in spec.features.items()
        }
        label = "label" if native or schema.label is None else schema.label
        self.label = Path(label) if native or label not in taken else None
        self.label_source = Path("label_source" if native else schema.label_source or "label_source")
        self.label_parent = self._own_object()
        sibling = f"{self.label_parent.text}.timestamp" if self.label_parent else "label_time"
        self.label_time = Path("label_time" if native else schema.label_time or sibling)
        self.rest = Remainder([*self.every(), *([self.label_parent] if self.label_parent else [])])
        self.label_rest = Remainder(self.every())

    def _own_object(self) -> Path | None:
        """The object the label lies in, when nothing of the prediction lies there too."""
        parent = self.label.parent if self.label else None
        if parent is None or any(path.text.startswith(parent.text + ".") for path in self._predicted()):
            return None
        return parent

    @staticmethod
    def _feature(name: str, declared: str | None, native: bool) -> tuple[Path, ...]:
        if native:
            return (Path(f"features.{name}"),)
        return (Path(declared),) if declared else (Path(name), Path(f"features.{name}"))

    def every(self) -> list[Path]:
        """Every place that is read."""
        truth = [path for path in (self.label, self.label_time, self.label_source) if path is not None]
        return [*self._predicted(), *truth]

    def _predicted(self) -> list[Path]:
        """Every place that is read for the prediction."""
        named = (self.id, self.time, self.logged_at, self.group, self.session)
        single = [path for path in named if path is not None]
        features = [path for paths in self.features.values() for path in paths]
        return [
            *single, *self.prediction.values(), *self.keys.values(), *self.protected.values(), *features
        ]  # fmt: skip
