"""What is wrong with a spec's keys and values, each by itself: every problem with its path, what was found, what fits.

msgspec decides what is right, value by value; the words are ours. Of numbers it takes nan and inf too, and no knob does:
a bound that is neither met nor missed would decide. What only shows between two knobs is in `checks.py`.
"""

import types
from collections.abc import Iterator
from math import isfinite
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, UnsetType

from whorl.errors import did_you_mean
from whorl.spec.duration import Duration

Problem = tuple[tuple[str, ...], str]
T = TypeVar("T")

_EXPECTED: dict[Any, str] = {
    Any: "any value",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Duration: "a span such as '30s', '15m', '24h', '14d' or '2w', at most 100 years",
    list: "a list, [ ... ]",
    dict: "a table, { ... }",
}


def problems(struct: type, data: Any, at: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Everything in `data` that a struct of knobs would not take.

    >>> from whorl.spec.knobs import CurateSpec
    >>> for _, problem in problems(CurateSpec, {"bugdet": 1}):
    ...     print(problem[:44])
    There is no such key. Did you mean 'budget'?
    """
    if not isinstance(data, dict):
        yield at, f"Expected a table, found {shown(data)}."
        return
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        if field.required and field.name not in data:
            hint = hints[field.name]
            yield at, f"'{field.name}' is missing. {help_of(hint)} Expected {expected(hint)}."
    for key, value in data.items():
        if key in hints:
            yield from _value(hints[key], value, (*at, key))
        else:
            yield (*at, key), f"There is no such key. {did_you_mean(key, list(hints))}"


def plain(hint: Any) -> Any:
    """A type without what is annotated on it.

    >>> plain(Annotated[Annotated[int, Meta(ge=0)], Meta(description="how many")])
    <class 'int'>
    """
    return plain(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def options(hint: Any) -> list[Any]:
    """The types that a value may have; what stands for a missing one is no value."""
    hint = plain(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return [one for member in get_args(hint) for one in options(member)]
    return [] if hint in (type(None), UnsetType) else [hint]


def metas(hint: Any) -> list[Meta]:
    """Everything annotated on a type and on its options, the innermost first."""
    found = metas(get_args(hint)[0]) if get_origin(hint) is Annotated else []
    if get_origin(hint) in (Union, types.UnionType):
        found = [meta for member in get_args(hint) for meta in metas(member)]
    return [*found, *(meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta))]


def help_of(hint: Any) -> str:
    """A knob's help."""
    return next((meta.description for meta in reversed(metas(hint)) if meta.description), "")


def read(kind: Any, value: Any) -> Any:
    """A value as msgspec reads it in a spec. Raises msgspec.ValidationError."""
    return msgspec.convert(value, kind, dec_hook=_span)


def shown(value: Any) -> str:
    """A value as messages quote it, short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _value(hint: Any, value: Any, at: tuple[str, ...]) -> Iterator[Problem]:
    kinds = options(hint)
    below = next((kind for kind in kinds if _fits(kind, value)), None)
    if below is not None and isinstance(below, type) and issubclass(below, msgspec.Struct):
        yield from problems(below, value, at)
    elif below is not None:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _value(_inside(below), item, (*at, str(key)))
    elif wrong := _wrong(hint, kinds, value):
        yield at, wrong


def _fits(kind: Any, value: Any) -> bool:
    """Whether the value has the outer shape of this option, so that its inner parts can be looked at."""
    if isinstance(value, dict):
        struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        return struct or kind is Any or get_origin(kind) is dict
    return isinstance(value, list) and (kind is Any or get_origin(kind) is list)


def _inside(kind: Any) -> Any:
    """The type of what a list or table of this type holds."""
    return Any if kind is Any else get_args(kind)[-1]


def _wrong(hint: Any, kinds: list[Any], value: Any) -> str | None:
    try:
        read(hint, value)
    except msgspec.ValidationError:
        return f"Expected {expected(hint)}, found {shown(value)}. {_hint(hint, kinds, value)}".rstrip()
    if isinstance(value, float) and not isfinite(value):
        return f"Expected a finite number, found {shown(value)}. {help_of(hint)}".rstrip()
    return None


def expected(hint: Any) -> str:
    """What a knob takes, in words.

    >>> expected(Annotated[float, Meta(ge=0, le=1)]), expected(Duration | None)
    ('a number at least 0 and at most 1', "a span such as '30s', '15m', '24h', '14d' or '2w', at most 100 years")
    """
    return " or ".join(_words(kind) for kind in options(hint)) + _limits(hint)


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(repr(one) for one in get_args(kind))}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"a table {{ {', '.join(kind.__struct_fields__)} }}"
    return _EXPECTED[get_origin(kind) or kind]


def _limits(hint: Any) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [
        f"{text} {getattr(meta, name)}"
        for meta in metas(hint)
        for name, text in words.items()
        if getattr(meta, name) is not None
    ]
    return f" {' and '.join(found)}" if found else ""


def _hint(hint: Any, kinds: list[Any], value: Any) -> str:
    known = [str(one) for kind in kinds if get_origin(kind) is Literal for one in get_args(kind)]
    if known and isinstance(value, str):
        guess, question, _ = did_you_mean(value, known).partition("? ")
        return guess + "?" if question else ""
    if Duration in kinds and _is_number(value):
        return f"Did you mean '{value}d'?"
    if any((get_origin(kind) or kind) is list for kind in kinds) and isinstance(value, str):
        return f'Did you mean ["{value}"]?'
    if str in kinds and isinstance(value, str):
        return help_of(hint)
    if str in kinds and not isinstance(value, (dict, list)):
        return "Put it in quotes."
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _span(kind: type, value: Any) -> Any:
    if kind is Duration and isinstance(value, str):
        return Duration(value)
    if kind is Duration:
        raise ValueError(f"expected a span such as '14d', found {value!r}")
    raise TypeError(f"A spec has no values of type {kind}.")
