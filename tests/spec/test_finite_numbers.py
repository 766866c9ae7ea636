"""No knob takes nan or an infinity: found by walking the spec's types, so that a new knob is held to it as well."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from whorl.errors import SpecError
from whorl.spec import Spec, parse_spec
from whorl.spec.problems import options, problems

Path = tuple[str, ...]


def numbers(hint: Any, at: Path = ()) -> Iterator[Path]:
    """The path of everything below a type that may be a float; "0" is the first of a list, "x" a key of a table."""
    for kind in options(hint):
        if kind in (float, Any):
            yield at
        if kind is Any:
            yield from ((*at, "0"), (*at, "x"))
        elif get_origin(kind) is list:
            yield from numbers(get_args(kind)[0], (*at, "0"))
        elif get_origin(kind) is dict:
            yield from numbers(get_args(kind)[1], (*at, "x"))
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for name, below in get_type_hints(kind, include_extras=True).items():
                if name in kind.__struct_fields__:
                    yield from numbers(below, (*at, name))


def holding(value: float, at: Path) -> Any:
    if not at:
        return value
    inner = holding(value, at[1:])
    return [inner] if at[0] == "0" else {at[0]: inner}


KNOBS = list(numbers(Spec))


def test_the_walk_finds_the_numbers() -> None:
    assert len(KNOBS) >= 25
    assert {
        ("evaluate", "gates", "0", "margin"),
        ("monitor", "threshold"),
        ("curate", "rules", "0", "severity"),
        ("train", "composition", "shares", "x"),
        ("train", "params", "x"),
        ("labels", "default_after", "value"),
    } <= set(KNOBS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", KNOBS, ids=".".join)
def test_every_number_must_be_finite(at: Path, value: float) -> None:
    found = dict(problems(Spec, holding(value, at)))
    assert at in found
    assert str(value) in found[at]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_it_says_where_and_what_to_write(value: str) -> None:
    text = f'name = "s"\ntask = "binary"\n[[evaluate.gates]]\ncheck = "calibrated"\nvalue = {value}\n'
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    (problem,) = caught.value.problems
    assert "line 5: evaluate.gates.0.value: Expected a finite number, found" in problem
    assert problem.endswith("the bound.")
