"""Read flywheel.toml into a Spec, or say everything that is wrong with it at once.

Each problem names the key's path and line, what was found, and what would be right.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from whorl.errors import SpecError, did_you_mean
from whorl.spec.checks import contradictions
from whorl.spec.duration import Duration
from whorl.spec.knobs import Spec

_AT = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")


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
    problems = [f"{_place(text, where, at)}: {what}" for at, what in _unknown_keys(Spec, data, ())]
    if problems:
        raise _spec_error(problems)
    try:
        spec = spec_from_dict(data)
    except msgspec.ValidationError as error:
        at, what = _explain(error)
        raise _spec_error([f"{_place(text, where, at)}: {what}"]) from None
    problems = [f"{_place(text, where, at)}: {what}" for at, what in contradictions(spec)]
    if problems:
        raise _spec_error(problems)
    return spec


def spec_from_dict(data: Any) -> Spec:
    """The spec in plain data, as `spec_to_json` writes it; raises msgspec.ValidationError."""
    return msgspec.convert(data, Spec, dec_hook=_decode)


def spec_to_json(spec: Spec) -> str:
    """Canonical JSON: the same spec gives the same text."""
    return msgspec.json.encode(spec, enc_hook=_encode, order="sorted").decode()


def spec_hash(spec: Spec) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(spec_to_json(spec).encode()).hexdigest()


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration and isinstance(value, str):
        return Duration(value)
    if kind is Duration:
        raise ValueError(f"expected a span such as '14d', found {value!r}")
    raise NotImplementedError(kind)


def _encode(value: Any) -> Any:
    if isinstance(value, Duration):
        return value.text
    raise NotImplementedError(type(value))


def _unknown_keys(struct: type, data: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(data, dict):
        return
    fields = {field.encode_name: field.type for field in inspect.type_info(struct).fields}  # type: ignore[attr-defined]
    for key, value in data.items():
        at = (*path, key)
        if key not in fields:
            yield at, f"There is no such key. {did_you_mean(key, list(fields))}"
            continue
        for kind, below in _structs_in(fields[key], value, at):
            yield from _unknown_keys(kind, below[1], below[0])


def _structs_in(
    kind: inspect.Type, value: Any, at: tuple[str, ...]
) -> Iterator[tuple[type, tuple[tuple[str, ...], Any]]]:
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.StructType):
        yield kind.cls, (at, value)
    elif isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from _structs_in(member, value, at)
    elif isinstance(kind, inspect.ListType) and isinstance(value, list):
        for position, item in enumerate(value):
            yield from _structs_in(kind.item_type, item, (*at, str(position)))
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict):
                yield from _structs_in(kind.value_type, item, (*at, key))


def _explain(error: msgspec.ValidationError) -> tuple[tuple[str, ...], str]:
    text = str(error)
    match = _AT.search(text)
    at = tuple(part for part in re.split(r"[.\[\]]+", match[1]) if part) if match else ()
    message = _AT.sub("", text)
    return at, message[0].upper() + message[1:] + ("" if message.endswith(".") else ".")


def _place(text: str, where: str, at: tuple[str, ...]) -> str:
    line = _line_of(text, at)
    return f"{where}{f' line {line}' if line else ''}: {'.'.join(at)}".rstrip(": ")


def _line_of(text: str, at: tuple[str, ...]) -> int | None:
    """The line where a key stands: below its table's header, counted from 1; None when it is written inline."""
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    best: int | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        header = re.match(r"^\s*(\[\[?)\s*([\w.\-\"']+)\s*\]\]?", raw)
        if header:
            name = tuple(part.strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                name = (*name, str(counts[name]))
            table = name
            if at == table:
                return number
            if at[: len(table)] == table:
                best = number
            continue
        key = re.match(r"^\s*([\w\-.\"']+)\s*=", raw)
        if key:
            full = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            if full == at:
                return number
            if at[: len(full)] == full:
                best = number
    return best


def _spec_error(problems: list[str]) -> SpecError:
    head = problems[0] if len(problems) == 1 else f"{len(problems)} problems:\n  " + "\n  ".join(problems)
    return SpecError(head, problems=problems)
