"""Columns of kinds that few tools write are read, or their rows refused: never the whole table, with [capture] or without."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whorl.capture.bulk import WaitingBulk
from whorl.capture.importers.arrow_files import parquet_records
from whorl.capture.importers.files import ingest_file
from whorl.capture.values import Notes
from whorl.spec import parse_spec
from whorl.workspace import open_workspace

NOW = datetime(2026, 2, 1, tzinfo=UTC)
HEAD = 'name = "f"\ntask = "binary"\n'
CAPTURES = ["", '[capture]\ndrop = ["card"]\n', '[capture]\nredact = ["*"]\n']
CARD = '{"card":"4111111111111111"}'
ID = UUID(int=7)


def _extra(column: pa.Array, name: str = "x", capture: str = "") -> list[object]:
    """What `extra` holds of a column, once its rows are taken in."""
    columns = [pa.array(["a", "b"]), pa.array([1767225600] * 2), pa.array([0.5] * 2), column]
    table = pa.table(columns, names=["id", "time", "score", name])
    rows = WaitingBulk(parse_spec(HEAD + capture)).rows("predictions", table, NOW, Notes(), range(2))
    assert rows.refused == []
    texts = rows.tables["predictions"]["extra"].to_pylist()
    return [None if text is None else msgspec.json.decode(text)[name] for text in texts]


def _texts(kind: pa.DataType, *values: object) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


def _struct(*fields: tuple[str, pa.Array]) -> pa.Array:
    return pa.StructArray.from_arrays([values for _, values in fields], [name for name, _ in fields])


FAR = pa.array([2**62, 1], pa.timestamp("s"))
DAYS = pa.array([2**31 - 1, 1], pa.int32()).cast(pa.date32())
FAR_AS_TEXT = ["<value out of range: 4611686018427387904>", "1970-01-01 00:00:01"]


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (_texts(pa.json_(pa.string()), '{"n":1}', None), ['{"n":1}', None]),
        (_texts(pa.uuid(), ID.bytes, None), [str(ID), None]),
        (_struct(("of", _texts(pa.uuid(), ID.bytes, None))), [{"of": str(ID)}, {"of": None}]),
        (_struct(("n", pa.array([1, 2])), ("n", pa.array([3, 4]))), [{"n": 3}, {"n": 4}]),
        (pa.RunEndEncodedArray.from_arrays([2], ["one"]), ["one", "one"]),
        (FAR, FAR_AS_TEXT),
        (_struct(("at", FAR)), [{"at": text} for text in FAR_AS_TEXT]),
        (DAYS, ["<value out of range: 185542587100800>", "1970-01-02 00:00:00"]),
        (pa.array([-62135596800, 1], pa.timestamp("s", "-11:00")), ["0001-01-01 00:00:00", "1970-01-01 00:00:01"]),
    ],
)  # fmt: skip
def test_a_column_of_an_odd_kind(column: pa.Array, kept: list[object], capture: str) -> None:
    assert _extra(column, capture=capture) == kept


@pytest.mark.parametrize("capture", CAPTURES)
def test_of_two_columns_of_one_name_the_last_stays(capture: str) -> None:
    assert _extra(pa.array([0.25, 0.75]), "score", capture) == [None, None]
    names = ["id", "time", "score", "note", "note"]
    columns = [["a"], [1767225600], [0.5], ["first"], ["last"]]
    table = pa.table([pa.array(values) for values in columns], names=names)
    rows = WaitingBulk(parse_spec(HEAD + capture)).rows("predictions", table, NOW, Notes(), range(1))
    assert rows.tables["predictions"]["extra"].to_pylist() == ['{"note":"last"}']


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("us", "UTC")])
def test_a_time_outside_of_all_years_is_refused_by_itself(kind: pa.DataType) -> None:
    stored = pa.int32() if kind == pa.date32() else pa.int64()
    day = 86_400_000 if kind == pa.date64() else 1
    far = 2**31 - 1 if stored == pa.int32() else 2**62 // day * day
    times = pa.array([far, day], stored).view(kind)
    table = pa.table({"id": ["a", "b"], "time": times, "score": [0.5, 0.5]})
    rows = WaitingBulk(parse_spec(HEAD)).rows("predictions", table, NOW, Notes(), range(2))
    assert [(one.index, one.code) for one in rows.refused] == [(0, "time")]
    assert rows.accepted == 1


def test_the_least_whole_number_as_a_time_is_read_as_its_record_is() -> None:
    records = [{"id": name, "time": -(2**63), "score": 0.5} for name in "ab"]
    bulk = WaitingBulk(parse_spec(HEAD))
    one_by_one = bulk.rows_of("predictions", list(enumerate(records)), NOW, Notes())
    together = bulk.rows("predictions", pa.Table.from_pylist(records), NOW, Notes(), range(2))
    assert together.tables["predictions"]["time"] == one_by_one.tables["predictions"]["time"]


@pytest.mark.parametrize(
    ("capture", "kept"),
    [('drop = ["x.card"]', "{}"), ('redact = ["*"]', '{"card":"<CARD>"}'), ('hash = ["x"]', "hmac:")],
)
def test_a_parquet_file_with_a_column_of_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capture: str, kept: str
) -> None:
    monkeypatch.setenv("WHORL_HASH_KEY", "k" * 32)
    path = tmp_path / "rows.parquet"
    columns = {"id": ["a"], "time": [1767225600], "score": [0.5], "x": _texts(pa.json_(pa.string()), CARD)}
    pq.write_table(pa.table(columns), path)
    with open_workspace(parse_spec(f"{HEAD}[capture]\n{capture}"), tmp_path / "ws", mirror=False) as ws:
        assert ingest_file(ws, path).accepted == 1
        (row,) = ws.engine.query(f"SELECT extra FROM {ws.lake.relation('predictions')}").to_pylist()
    assert msgspec.json.decode(row["extra"])["x"].startswith(kept)


def test_rows_of_another_tool_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    columns = {"x": _texts(pa.json_(pa.string()), CARD, None), "at": pa.array([2**60, 1], pa.timestamp("us"))}
    pq.write_table(pa.table(columns), path)
    (chunk,) = parquet_records(path, 10)
    assert [row["x"] for row in chunk.records] == [CARD, None]
    assert chunk.records[1]["at"] == "1970-01-01 00:00:00.000001"
