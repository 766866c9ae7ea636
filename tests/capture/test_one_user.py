"""A user is one group, and on one side of the holdout, however a format writes the number that stands for them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from whorl.capture.bulk import MANY, Bulk, Rows
from whorl.capture.values import Notes
from whorl.spec import parse_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BULK = Bulk(
    parse_spec('name="f"\ntask="binary"\n[schema]\ngroup="user"\n[schema.features]\nx="float"'), "ab" * 32
)


def _told(rows: Rows) -> set[tuple[Any, str]]:
    table = rows.tables["predictions"]
    assert not rows.refused
    return set(zip(table["group_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def _every_way(user: Any) -> set[tuple[Any, str]]:
    """One record, many, and a table."""
    records = [{"id": f"id{n}", "time": NOW, "x": 1.0, "user": user} for n in range(MANY)]
    numbered = list(enumerate(records))
    return (
        _told(BULK.rows_of("predictions", numbered[:1], NOW, Notes()))
        | _told(BULK.rows_of("predictions", numbered, NOW, Notes()))
        | _told(BULK.rows("predictions", pa.Table.from_pylist(records), NOW, Notes(), range(MANY)))
    )


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("5", [5, 5.0, "5", "5.0", "5.000", Decimal(5), Decimal("5.00")]),
        ("-12", [-12, -12.0, "-12", "-12.00", Decimal("-12.0")]),
        (str(2**60), [2**60, 2.0**60, str(2**60), f"{2**60}.0", Decimal(2**60)]),
        # No float has it.
        (str(2**60 + 1), [2**60 + 1, f"{2**60 + 1}.0", Decimal(2**60 + 1)]),
    ],
)
def test_however_it_is_written(text: str, forms: list[Any]) -> None:
    (told,) = set().union(*map(_every_way, forms))
    assert told[0] == text


@pytest.mark.parametrize("name", ["5.01", "5.", "1.0.0", "v5.0", "5.0b", ".0", "1e3"])
def test_other_names_stay(name: str) -> None:
    assert {group for group, _ in _every_way(name)} == {name}
