"""Read flywheel.toml into a Spec, or say everything that is wrong with it at once.

Each problem names the key's path and line, what was found, and what would be right.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from whorl.errors import SpecError
from whorl.spec.checks import contradictions
from whorl.spec.duration import Duration
from whorl.spec.knobs import Spec
from whorl.spec.knobs.knob import Knobs
from whorl.spec.problems import Problem, problems, read
from whorl.spec.toml_lines import line_of


def load_spec(path: str | Path) -> Spec:
    """The spec in a file. Raises SpecError with every problem found."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(
            "There is no such file.",
            where=str(path),
            hint="Write one with `whorl init`, or name it with --spec.",
        ) from None
    except UnicodeDecodeError as error:
        raise SpecError(f"The file is not UTF-8 text ({error.reason}).", where=str(path)) from None
    return parse_spec(text, where=path.name)


def parse_spec(text: str, *, where: str = "flywheel.toml") -> Spec:
    """The spec in a TOML text.

    >>> parse_spec('name = "fraud"\\ntask = "binary"').metric
    'average_precision'
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"This is not TOML: {error}.", where=where) from None
    wrong = list(problems(Spec, data))
    if wrong:
        _refuse([*wrong, *_beside(wrong, data)], text, where)
    spec = spec_from_dict(data)
    _refuse(contradictions(spec), text, where)
    return spec


def _beside(wrong: list[Problem], data: dict[str, Any]) -> list[Problem]:
    """Combinations that cannot be meant, whatever is right in place of the wrong values; none where a needed one is missing."""
    left = _without(data, [at for at, _ in wrong])
    try:
        spec = spec_from_dict(left)
    except msgspec.ValidationError:
        return []
    names = {part for at, _ in wrong for part in at[-1:]}
    # What is said of a wrong key is said of its default, which nobody has written.
    return [
        (at, what) for at, what in contradictions(spec) if not names & {*at, *re.findall(r"[\w-]+", what)}
    ]


def _without(data: Any, places: list[tuple[str, ...]]) -> Any:
    """Plain data without what stands at these places; a list with one of them is left out as a whole."""
    if not isinstance(data, dict):
        return data
    below = {key: [at[1:] for at in places if at[:1] == (key,)] for key in data}
    return {
        key: _without(value, below[key])
        for key, value in data.items()
        if () not in below[key] and not (below[key] and isinstance(value, list))
    }


def spec_from_dict(data: Any) -> Spec:
    """The spec in plain data, as `spec_to_json` writes it; raises msgspec.ValidationError."""
    spec: Spec = read(Spec, data)
    return spec


def spec_to_json(spec: Spec) -> str:
    """Canonical JSON: the same spec gives the same text."""
    return msgspec.json.encode(spec, enc_hook=_encode, order="sorted").decode()


def spec_hash(spec: Spec) -> str:
    """sha256 of the canonical JSON: what the spec comes to, defaults included."""
    return hashlib.sha256(spec_to_json(spec).encode()).hexdigest()


def written_hash(spec: Knobs) -> str:
    """sha256 of what differs from the defaults: a Whorl with a further knob, or another default, gives the same."""
    text = msgspec.json.encode(_written(spec), enc_hook=_encode, order="sorted")
    return hashlib.sha256(text).hexdigest()


def _written(value: Any) -> Any:
    if isinstance(value, Knobs):
        fields = msgspec.structs.fields(value)
        told = {field.name: getattr(value, field.name) for field in fields}
        return {f.name: _written(told[f.name]) for f in fields if told[f.name] != _default(f)}
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items()}
    return [_written(one) for one in value] if isinstance(value, list) else value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _encode(value: Any) -> Any:
    if isinstance(value, Duration):
        return value.text
    raise TypeError(f"A spec has no values of type {type(value)}.")


def _refuse(found: Iterable[Problem], text: str, where: str) -> None:
    wrong = [f"{_place(text, where, at)}: {what}" for at, what in found]
    if wrong:
        head = wrong[0] if len(wrong) == 1 else f"{len(wrong)} problems:\n  " + "\n  ".join(wrong)
        raise SpecError(head, problems=wrong)


def _place(text: str, where: str, at: tuple[str, ...]) -> str:
    line = line_of(text, at)
    return f"{where}{f' line {line}' if line else ''}: {'.'.join(at)}".rstrip(": ")
