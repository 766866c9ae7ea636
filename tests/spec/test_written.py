"""The hash of what a spec says beyond the defaults: as it was when Whorl gets a further knob, or another default."""

from typing import Any

import msgspec
import pytest

from whorl.spec import parse_spec, spec_hash, written_hash
from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Knobs


class PartThen(Knobs, frozen=True, kw_only=True):
    rows: int
    share: float = 0.5


class PartNow(Knobs, frozen=True, kw_only=True):
    rows: int
    share: float = 0.25
    span: Duration = Duration("7d")


class Then(Knobs, frozen=True, kw_only=True):
    name: str
    parts: list[PartThen] = msgspec.field(default_factory=list)
    named: dict[str, PartThen] = msgspec.field(default_factory=dict)
    one: PartThen = PartThen(rows=3)


class Now(Knobs, frozen=True, kw_only=True):
    name: str
    parts: list[PartNow] = msgspec.field(default_factory=list)
    named: dict[str, PartNow] = msgspec.field(default_factory=dict)
    one: PartNow = PartNow(rows=4)
    further: PartNow | None = None


@pytest.mark.parametrize(
    "data",
    [
        {}, {"parts": [{"rows": 1}]}, {"parts": [{"rows": 1, "share": 0.1}]}, {"named": {"a": {"rows": 2}}},
        {"one": {"rows": 9}},
    ],
)  # fmt: skip
def test_further_knobs_and_other_defaults_change_nothing(data: dict[str, Any]) -> None:
    then, now = (msgspec.convert({"name": "f", **data}, kind) for kind in (Then, Now))
    assert written_hash(then) == written_hash(now)


def test_each_value_that_is_written_counts() -> None:
    told = ["", "[curate]\nbudget = 7", "[curate]\nbudget = 8", "[curate.reasons]\nnovel = 0.0",
            '[schema.features]\na = "float"', '[schema.features]\na = { type = "float", path = "b" }',
            "[evaluate]\ngates = []", '[[evaluate.gates]]\ncheck = "better"', '[monitor]\nperiod = "3d"']  # fmt: skip
    specs = [parse_spec(f'name = "f"\ntask = "binary"\n{one}') for one in told]
    assert len({written_hash(spec) for spec in specs}) == len(specs)
    silent, written = parse_spec('name = "f"\ntask = "binary"'), '[monitor]\nperiod = "7d"'
    same = parse_spec(f'name = "f"\ntask = "binary"\n{written}')
    assert (written_hash(same), spec_hash(same)) == (written_hash(silent), spec_hash(silent))
