"""Files: every format, good rows kept, bad ones reported with their line, and nothing twice."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from whorl.capture.importers import csv_file, json_lines
from whorl.capture.importers.files import ingest_file
from whorl.errors import SourceError, StorageError
from whorl.spec import Spec, parse_spec
from whorl.storage.lake import Lake
from whorl.workspace import Workspace, open_workspace

ROWS: list[dict[str, Any]] = [
    {
        "transaction_id": f"t{n}",
        "timestamp": f"2025-12-01T00:00:{n:02}Z",
        "amount": n + 0.5,
        "merchant": "a,b" if n % 2 else None,
        "visits": n,
        "is_new_merchant": n % 2 == 0,
        "ground_truth.is_fraud": n % 3 == 0,
        "channel": "web",
    }
    for n in range(30)
]


def _csv(rows: list[dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        return "" if value is None else f'"{value}"' if "," in str(value) else str(value)

    return "\n".join([",".join(rows[0]), *(",".join(map(cell, row.values())) for row in rows)]) + "\n"


def _ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(map(msgspec.json.encode, rows)) + b"\n"


def _write_csv(path: Path) -> None:
    path.write_text(_csv(ROWS))


def _write_csv_gz(path: Path) -> None:
    path.write_bytes(gzip.compress(_csv(ROWS).encode()))


def _write_semicolons(path: Path) -> None:
    path.write_text(_csv([{**row, "merchant": None} for row in ROWS]).replace(",", ";"), encoding="utf-8-sig")


def _write_ndjson(path: Path) -> None:
    path.write_bytes(_ndjson(ROWS))


def _write_ndjson_zst(path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(_ndjson(ROWS))


def _write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


def _write_arrow(path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def _write_stream(path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table)


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.csv": _write_csv,
    "a.csv.gz": _write_csv_gz,
    "semicolons.csv": _write_semicolons,
    "a.ndjson": _write_ndjson,
    "a.jsonl.zst": _write_ndjson_zst,
    "a.parquet": _write_parquet,
    "a.arrow": _write_arrow,
    "a.arrows": _write_stream,
}


def _rows(ws: Workspace, table: Any = "predictions") -> list[dict[str, Any]]:
    return ws.engine.query(f"SELECT * FROM {ws.lake.relation(table)} ORDER BY time, id").to_pylist()


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows_and_only_once(ws: Workspace, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    shares: list[float] = []
    report = ingest_file(ws, path, progress=shares.append)
    assert (report.accepted, report.refused, report.labels, report.rejects_path) == (30, 0, 30, None)
    assert 0 < shares[-1] <= 1
    rows = _rows(ws)
    assert [row["f_amount"] for row in rows] == [n + 0.5 for n in range(30)]
    assert [row["f_is_new_merchant"] for row in rows[:2]] == [True, False]
    assert rows[1]["f_merchant"] == (None if name == "semicolons.csv" else "a,b")
    assert rows[0]["extra"] == '{"channel":"web"}'
    assert sum(row["value"] for row in _rows(ws, "labels")) == 10
    again = ingest_file(ws, path)
    assert (again.accepted, again.already) == (0, True)
    assert "nothing was added" in again.notes[0]
    assert len(_rows(ws)) == 30


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.parquet"])
def test_a_score_that_is_no_number_is_refused_with_its_line_in_every_format(
    ws: Workspace, tmp_path: Path, name: str
) -> None:
    score = "prediction.fraud_probability"
    rows = [{**row, score: "nan" if n == 7 else 0.5} for n, row in enumerate(ROWS)]
    path = tmp_path / name
    if name == "a.csv":
        path.write_text(_csv(rows))
    elif name == "a.ndjson":
        path.write_bytes(_ndjson(rows))
    else:
        pq.write_table(pa.Table.from_pylist([{**row, score: float(row[score])} for row in rows]), path)
    report = ingest_file(ws, path)
    assert (report.accepted, report.refused) == (29, 1)
    (refused,) = report.rejects
    assert refused.index == (9 if name == "a.csv" else 8)
    assert refused.message == f"{score}: expected a probability from 0 to 1, found nan."


def test_a_wrong_type_halfway_down_a_csv(ws: Workspace, tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[16]["amount"] = "n/k"
    path = tmp_path / "orders.csv"
    path.write_text(_csv(rows))
    report = ingest_file(ws, path)
    assert (report.accepted, report.refused) == (29, 1)
    (reject,) = report.rejects
    assert (reject.index, reject.code) == (18, "feature")
    assert "'n/k'" in reject.message
    assert report.rejects_path is not None
    assert Path(report.rejects_path).name == "orders.csv.rejects.ndjson"
    assert msgspec.json.decode(Path(report.rejects_path).read_bytes())["line"] == 18


def test_lines_are_counted_through_line_breaks_blanks_and_bad_rows(ws: Workspace, tmp_path: Path) -> None:
    text = (
        "transaction_id,timestamp,merchant\n"
        '1,2025-12-01T00:00:00Z,"two\nlines"\n'
        "\n"
        "2,2025-12-01T00:00:00Z\n"
        "3,yesterday,x\n"
        "4,2025-12-01T00:00:00Z,caf\xe9\n"
        "5,2025-12-01T00:00:00Z,x\n"
    )
    path = tmp_path / "odd.csv"
    path.write_bytes(text.encode("latin-1"))
    report = ingest_file(ws, path)
    assert [(r.index, r.code) for r in report.rejects] == [(5, "cells"), (6, "time"), (7, "encoding")]
    assert report.accepted == 2
    assert any("amount, visits" in note for note in report.notes)


def test_bad_lines_of_ndjson(ws: Workspace, tmp_path: Path) -> None:
    good = _ndjson(ROWS[:1])
    large = b'{"transaction_id": "large", "note": "' + b"x" * 50_000_000 + b'"}\n'
    lines = [
        good,
        b"{oops\n",
        b"\n",
        b'{"transaction_id": "\xff"}\n',
        large,
        b"[1]\n",
        good.replace(b"t0", b"t1"),
    ]
    path = tmp_path / "odd.ndjson"
    path.write_bytes(b"".join(lines))
    report = ingest_file(ws, path)
    assert [(r.index, r.code) for r in report.rejects] == [
        (2, "json"),
        (4, "json"),
        (5, "size"),
        (6, "record"),
    ]
    assert report.accepted == 2


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("empty.csv", b"", "empty"),
        ("not.parquet", b"PAR1 and then nothing", "Parquet"),
        ("named.parquet", b"a,b\n1,2\n", "Parquet"),
        ("short.arrow", b"ARROW1\0\0", "Arrow"),
        ("array.json", b'[{"transaction_id": 1}]', "JSON array"),
        ("what.xyz", b"abc", "What kind of file"),
        ("noid.csv", b"transaction_idd,timestamp\n1,2\n", "Did you mean 'transaction_idd'"),
        ("twice.csv", b"transaction_id,transaction_id\n1,2\n", "Two columns"),
        ("quote.csv", b'transaction_id,timestamp\n1,"' + b"x" * 17_000_000, "line 2"),
        ("short.csv.gz", gzip.compress(_csv(ROWS).encode(), mtime=0)[:60], "to its end"),
    ],
)
def test_a_file_that_cannot_be_read(
    ws: Workspace, tmp_path: Path, name: str, content: bytes, part: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as error:
        ingest_file(ws, path)
    assert part in str(error.value)
    assert name in error.value.where
    assert _rows(ws) == []


def test_a_truncated_parquet_file(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        ingest_file(ws, path)
    assert _rows(ws) == []


def test_a_file_that_is_not_there(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        ingest_file(ws, tmp_path / "nowhere.csv")


@pytest.mark.parametrize("content", ["transaction_id,timestamp\n", "\n"])
def test_a_file_without_records(ws: Workspace, tmp_path: Path, content: str) -> None:
    path = tmp_path / "none.csv"
    path.write_text(content)
    if content == "\n":
        with pytest.raises(SourceError, match="no column 'transaction_id'"):
            ingest_file(ws, path)
    else:
        report = ingest_file(ws, path)
        assert (report.accepted, report.notes[-1]) == (0, "There is no record in it.")


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_a_second_attempt_adds_only_what_is_missing(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(csv_file, "CHUNK_ROWS", 10)
    monkeypatch.setattr(json_lines, "CHUNK_ROWS", 10)
    path = tmp_path / name
    WRITERS[name](path)
    real, calls = Lake.append, []

    def failing(self: Lake, table: Any, rows: pa.Table, app: str, version: int) -> bool:
        calls.append(table)
        if len(calls) == 4:
            raise StorageError("The disk is full.")
        return real(self, table, rows, app, version)

    with monkeypatch.context() as broken:
        broken.setattr(Lake, "append", failing)
        with pytest.raises(StorageError):
            ingest_file(ws, path)
    assert (len(_rows(ws)), len(_rows(ws, "labels"))) == (20, 10)
    report = ingest_file(ws, path)
    assert report.accepted == 30
    assert "1 chunk(s) were in the lake already, from an attempt that stopped." in report.notes
    assert (len(_rows(ws)), len(_rows(ws, "labels"))) == (30, 30)


def test_a_changed_mapping_takes_the_file_in_anew(spec: Spec, tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "a.csv"
    _write_csv(path)
    fewer = parse_spec('name="fraud"\ntask="binary"\n[schema]\nid="transaction_id"\ntime="timestamp"')
    with open_workspace(fewer, tmp_path / "ws", clock=clock) as ws:
        assert ingest_file(ws, path).labels == 0
    with open_workspace(spec, tmp_path / "ws", clock=clock) as ws:
        assert ingest_file(ws, path).labels == 30
        assert ws.examples(clock.now()).select().num_rows == 30


def test_labels_of_their_own(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "transaction_id,ground_truth.is_fraud,ground_truth.timestamp\n1,TRUE,2025-12-02\n2,,2025-12-02\n"
    )
    report = ingest_file(ws, path)
    assert (report.accepted, report.labels) == (1, 1)
    assert [(r.index, r.code) for r in report.rejects] == [(3, "label")]
    assert _rows(ws) == []
