"""Where [capture] wants what done, as one tree of keys: a record is walked once, whatever its shape.

A path means the same place in every shape in which records come: a company's own (`customer.email`), and the field names
of `records.py`, where it may lie in `features`, `keys`, `protected` or `extra`.
"""

from dataclasses import dataclass, field
from typing import Literal

from whorl.capture.conventions.aliases import ATTRIBUTES
from whorl.capture.fields import Fields
from whorl.capture.paths import Path
from whorl.spec import Spec

Keep = Literal["no", "any", "number", "time"]
EVERYWHERE = "*"
_HOLDERS = ("features", "keys", "protected", "extra")
# Fields of records.py that name things: redacting them would part what belongs together.
_OWN_NAMES = (
    "prediction_id", "item_id", "id", "session", "group", "trace_id", "parent_id", "span_id", "model_version",
    "feature_version", "variant",
)  # fmt: skip
_OWN_TIMES = ("time", "label_time", "start_time", "end_time")


@dataclass
class Place:
    """What is to be done at one place of a record, and further in.

    Attributes:
        keep: A value that must stay, unless it is an object or a list; "number" and "time" keep only what is one.
        declared: A drop or hash lies further in, so what hides it (text that cannot be read) must go.
        names: Text that is plain hides nothing here: it is the whole value, and what lies further in is called alike.
    """

    below: dict[str, "Place"] = field(default_factory=dict)
    drop: bool = False
    hash: bool = False
    redact: bool = False
    cut: int | None = None
    keep: Keep = "no"
    declared: bool = False
    names: bool = False

    def at(self, route: tuple[str, ...], *, declared: bool = False) -> "Place":
        """The place that a route of keys leads to, made where it is not there."""
        place = self
        for key in route:
            place.declared = place.declared or (declared and place is not self)
            place = place.below.setdefault(key, Place())
        return place


def places(spec: Spec) -> Place:
    """The tree of one spec; its root stands for the whole record."""
    capture, root = spec.capture, Place()
    for path in capture.drop:
        for place in _all(root, path, spec, declared=True):
            place.drop = True
    for path in capture.hash:
        for place in _all(root, path, spec, declared=True):
            place.hash = True
    for path in capture.redact:
        for place in _all(root, path, spec):
            place.redact = True
    for path, length in capture.truncate.items():
        for place in _all(root, path, spec):
            place.cut = length
    if capture.redact:
        _keep(root, spec)
    # `session.id` and `output.value` are attributes of OpenTelemetry, and `session` and `output` are fields of ours.
    asked = {*capture.drop, *capture.hash} & ATTRIBUTES
    names = {*_OWN_NAMES, *(top for path in asked if (top := path.partition(".")[0]) in ANSWERS)}
    for place in (root, *(root.below[holder] for holder in _HOLDERS if holder in root.below)):
        for name in names & place.below.keys():
            place.below[name].names = True
    # A column that only has the name of a field of ours may hold somebody's plain text.
    own = {route[0] for path in (*capture.drop, *capture.hash) for route in Path(path).routes}
    for name in root.below.keys() - own:
        root.below[name].names = True
    return root


def _all(root: Place, path: str, spec: Spec, *, declared: bool = False) -> list[Place]:
    """Every place that a path of [capture] means."""
    if path == EVERYWHERE:
        return [root]
    own = [root.at(route, declared=declared) for route in Path(path).routes]
    others = [f"{holder}.{path}" for holder in _HOLDERS] + _native(path, spec)
    return own + [root.at(route, declared=declared) for other in others for route in Path(other).routes]


def _native(path: str, spec: Spec) -> list[str]:
    """What records.py calls the fields that [schema] finds at a path, or inside it."""
    pairs = [
        (one.text, two.text)
        for own, native in zip(_named(Fields(spec)), _named(Fields(spec, native=True)), strict=True)
        for one in own
        for two in native
    ]
    found = [native for own, native in pairs if own == path or own.startswith(path + ".")]
    # What lies further in than a field: `chat.content` where [schema] messages is `chat`.
    found += [native + path[len(own) :] for own, native in pairs if path.startswith(own + ".")]
    return [native for native in dict.fromkeys(found) if native != path]


def _named(fields: Fields) -> list[tuple[Path, ...]]:
    """The paths of each field, in an order that is the same for both shapes."""
    single = [
        fields.id,
        fields.time,
        fields.group,
        fields.session,
        fields.label,
        fields.label_time,
        fields.label_source,
    ]
    tables = [fields.keys, fields.protected]
    answers = [fields.prediction.get(name) for name in ANSWERS]
    listed = [*single, *answers, *(path for table in tables for path in table.values())]
    return [(path,) if path else () for path in listed] + list(fields.features.values())


def _keep(root: Place, spec: Spec) -> None:
    fields = Fields(spec)
    names = [path for path in (fields.id, fields.group, fields.session) if path is not None]
    named = [path.text for path in (*names, *fields.keys.values())]
    numbers = [name for name, feature in spec.features.items() if feature.type not in ("category", "text")]
    kept: dict[Keep, list[str]] = {
        "any": [*named, *(f"keys.{name}" for name in fields.keys), *_OWN_NAMES],
        "time": [fields.time.text, fields.label_time.text, fields.logged_at.text, *_OWN_TIMES],
        "number": [path.text for name in numbers for path in fields.features[name]]
        + [f"features.{name}" for name in numbers],
    }
    for keep, paths in kept.items():
        for path in paths:
            for route in Path(path).routes:
                root.at(route).keep = keep


ANSWERS = (
    "score", "scores", "output", "items", "messages", "content", "action", "propensity", "model_version",
    "feature_version", "variant", "trace_id", "parent_id", "latency_ms", "cost_usd", "input_tokens", "output_tokens",
)  # fmt: skip
