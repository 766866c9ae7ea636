"""What [capture] may not do to a field: whatever Whorl joins, splits or reckons by has to stay what it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from whorl.spec.knobs import Spec

Problem = tuple[tuple[str, ...], str]
Treatment = Literal["drop", "hash", "truncate", "redact"]

_NUMBERS = ("score", "scores", "items", "propensity", "latency", "cost", "input_tokens", "output_tokens")
_TEXTS = ("messages", "content", "output")
_NAMES = ("group", "session")


class _Field(NamedTuple):
    """A path that [schema] reads: what it is, what may be done to it, and why nothing else."""

    path: str
    what: str
    may: tuple[Treatment, ...]
    why: str


def capture_problems(spec: Spec) -> Iterator[Problem]:
    """Everything in [capture] that cannot be meant."""
    capture = spec.capture
    fields = list(_fields(spec))
    for treatment, place, path in _treated(spec):
        for field in fields:
            whole = treatment in ("drop", "hash")
            reached = path == field.path or (whole and field.path.startswith(path + "."))
            if reached and treatment not in field.may:
                inside = "" if path == field.path else f" (inside '{path}')"
                yield (
                    ("capture", treatment, place),
                    f"'{field.path}'{inside} is {field.what}; it cannot be {_done(treatment)}: {field.why}",
                )
        fates = [name for name in ("drop", "hash") if path in getattr(capture, name)]
        if fates and treatment not in fates[:1]:
            yield ("capture", treatment, place), f"'{path}' is {_done(fates[0])} already. Name it once."
    if capture.hash_key_file is not None and not Path(capture.hash_key_file).is_absolute():
        yield (
            ("capture", "hash_key_file"),
            f"'{capture.hash_key_file}' is no absolute path: a server and a command start in different directories.",
        )
    if capture.redact_with == "presidio" and not capture.redact:
        yield ("capture", "redact_with"), "Nothing is redacted: say where in [capture] redact."


def _treated(spec: Spec) -> Iterator[tuple[Treatment, str, str]]:
    """Each path with what is done to it and its place under that knob."""
    capture = spec.capture
    yield from (("drop", str(place), path) for place, path in enumerate(capture.drop))
    yield from (("hash", str(place), path) for place, path in enumerate(capture.hash))
    yield from (("redact", str(place), path) for place, path in enumerate(capture.redact))
    yield from (("truncate", path, path) for path in capture.truncate)


def _fields(spec: Spec) -> Iterator[_Field]:
    schema = spec.schema
    yield _Field(schema.id, "the id", (), "truth and feedback find their prediction by it. Send a pseudonym.")
    yield _Field(schema.time, "the time", (), "the order of things hangs on it.")
    if schema.label is not None:
        text: tuple[Treatment, ...] = ("truncate", "redact") if spec.task == "generation" else ()
        yield _Field(schema.label, "the label", text, "models are trained and judged by it.")
    if schema.label_time is not None:
        yield _Field(schema.label_time, "the time of the label", (), "late truth is reckoned by it.")
    for name, feature in spec.features.items():
        for path in (feature.path,) if feature.path else (name, f"features.{name}"):
            if feature.type in ("category", "text"):
                why = "the model sees it. Hash it, or take it out of [schema.features]."
                yield _Field(path, f"the feature '{name}'", ("hash", "truncate", "redact"), why)
            else:
                why = f"the model reckons with it as {feature.type}. Take it out of [schema.features]."
                yield _Field(path, f"the feature '{name}'", (), why)
    for knob in (*_NUMBERS, *_TEXTS, *_NAMES, "action"):
        path = getattr(schema, knob)
        if path is not None:
            yield _answer(spec, knob, path)
    for name, path in schema.keys.items():
        yield _Field(path, f"the key '{name}'", ("hash",), "labels are joined by it. Hash it.")
    for name, path in spec.protected.items():
        yield _Field(path, f"the protected attribute '{name}'", ("hash",), "groups are compared by it.")


def _answer(spec: Spec, knob: str, path: str) -> _Field:
    what = f"where [schema] {knob} looks"
    if knob in _NUMBERS:
        return _Field(path, what, (), "it is reckoned with. Take it out of [schema].")
    if knob in _TEXTS:
        return _Field(
            path, what, ("truncate", "redact"), "it has a shape. Redact it, or take it out of [schema]."
        )
    if knob == "action" and spec.schema.censored:
        return _Field(path, what, (), "[schema] censored compares it.")
    return _Field(path, what, ("hash",), "rows are told apart by it. Hash it, or take it out of [schema].")


def _done(treatment: str) -> str:
    return {"drop": "dropped", "hash": "hashed", "truncate": "truncated", "redact": "redacted"}[treatment]
