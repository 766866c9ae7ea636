"""Every knob as data, read off the structs of `knobs.py`; and docs/spec.md, which is made of it.

Write the page anew with `python -m whorl.spec.reference > docs/spec.md`.
"""

import sys
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET

from whorl.spec.duration import Duration
from whorl.spec.knobs import DefaultAfter, FeatureSpec, Spec
from whorl.spec.problems import help_of, metas, options

_WORDS = {
    str: "text",
    bool: "true, false",
    int: "whole number",
    float: "number",
    Duration: "span",
    Any: "any",
}
_INLINE: dict[str, tuple[type, str]] = {
    "features.<name>": (FeatureSpec, "A feature in full, where its type alone does not say enough."),
    "default_after": (DefaultAfter, "What is taken for the truth when no news comes."),
}


class Knob(NamedTuple):
    """One setting.

    Attributes:
        kind: What it takes, for people.
        default: As TOML; None when it must be given, "" when silence has its own meaning.
        options: The types that msgspec accepts.
    """

    name: str
    kind: str
    unit: str
    default: str | None
    help: str
    options: list[Any]


class Section(NamedTuple):
    """A table of the spec.

    Attributes:
        many: Several of that name may follow each other.
        inline: It is a value, not a table of its own.
        optional: Leaving it out means something else than leaving it empty.
    """

    path: str
    help: str
    knobs: list[Knob]
    many: bool = False
    inline: bool = False
    optional: bool = False


def sections() -> list[Section]:
    """Every table of a spec, the top level first."""
    return list(_sections(Spec, Section("", "What and how.", [])))


def toml(value: Any) -> str:
    """A default as it is written in the file; "" for none.

    >>> toml(Duration("14d")), toml(True), toml(["full"]), toml(None)
    ('"14d"', 'true', '["full"]', '')
    """
    if value is None or value is UNSET:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Duration, str)):
        return f'"{value}"'
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return str(value)


def reference_page() -> str:
    """docs/spec.md."""
    parts = [_HEAD]
    for section in sections():
        parts.append(f"## {_title(section)}\n\n{section.help}\n")
        parts.append("| knob | takes | unit | default | meaning |\n|---|---|---|---|---|")
        parts += [_row(knob) for knob in section.knobs]
        parts.append("")
    return "\n".join(parts)


def _sections(struct: type, of: Section) -> Iterator[Section]:
    """A struct's own table, filled into `of`, and those below it."""
    below: list[tuple[type, Section]] = []
    for field, hint in _fields(struct):
        inner, many = _table(hint)
        if inner is None:
            of.knobs.append(_knob(field, hint))
        else:
            place = f"{of.path}.{field.name}".lstrip(".")
            optional = not many and field.default is None
            below.append((inner, Section(place, help_of(hint), [], many=many, optional=optional)))
    yield of
    for name, (inline, words) in _INLINE.items():
        if any(knob.name == name.partition(".")[0] for knob in of.knobs):
            yield Section(f"{of.path}.{name}", words, [_knob(*one) for one in _fields(inline)], inline=True)
    for inner, section in below:
        yield from _sections(inner, section)


def _fields(struct: type) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = get_type_hints(struct, include_extras=True)
    return [(field, hints[field.name]) for field in msgspec.structs.fields(struct)]


def _table(hint: Any) -> tuple[type | None, bool]:
    """The struct of a knob that is a table of its own, and whether several may follow each other."""
    for kind in options(hint):
        repeated = get_origin(kind) is list
        inner = get_args(kind)[0] if repeated else kind
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and inner is not DefaultAfter:
            return inner, repeated
    return None, False


def _knob(field: msgspec.structs.FieldInfo, hint: Any) -> Knob:
    made = field.default_factory() if field.default_factory is not NODEFAULT else field.default
    unit = next((str(meta.extra["unit"]) for meta in metas(hint) if meta.extra), "")
    kind = " or ".join(_kind(one) for one in options(hint)) + _limits(hint)
    default = None if field.required else toml(made)
    return Knob(field.name, kind, unit, default, help_of(hint), options(hint))


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f'"{one}"' for one in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {_kind(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"table of {' or '.join(_kind(one) for one in options(get_args(kind)[1]))}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "{ " + ", ".join(kind.__struct_fields__) + " }"
    return _WORDS[kind]


def _limits(hint: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{sign} {getattr(m, name)}" for m in metas(hint) for name, sign in signs.items()
             if getattr(m, name) is not None]  # fmt: skip
    return f", {' and '.join(found)}" if found else ""


def _title(section: Section) -> str:
    if not section.path:
        return "Top level"
    if section.inline:
        return f"`{section.path}` = {{ ... }}"
    return f"`[[{section.path}]]`" if section.many else f"`[{section.path}]`"


def _row(knob: Knob) -> str:
    default = "must be given" if knob.default is None else f"`{knob.default}`" if knob.default else "none"
    cells = [f"`{knob.name}`", knob.kind, knob.unit, default, knob.help]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_HEAD = """# flywheel.toml

Every knob, made from `src/whorl/spec/knobs/`. `whorl init` writes a file with all of them as comments;
`whorl spec check` says everything that is wrong with yours. A span is a number with `s`, `m`, `h`, `d` or `w`: `"14d"`.
A path is dotted: `prediction.score` is the field `score` of the object `prediction`, or a column of that name.
"""

if __name__ == "__main__":
    sys.stdout.write(reference_page())
