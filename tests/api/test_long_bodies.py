"""Bodies of any length, in parts: what is kept, where what is refused stands, and what a bomb costs."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

PREDICTIONS, LABELS = ("/v1/flywheels/fraud/predictions", "/v1/flywheels/fraud/labels")
NDJSON = {"content-type": "application/x-ndjson"}
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
FACTS = {"timestamp": "2026-01-01T00:00:00Z", "amount": 1.5, "merchant": "a"}


def line(name: str, **more: Any) -> bytes:
    return json.dumps({"transaction_id": name, **FACTS, **more}).encode() + b"\n"


def long_body(prefix: str, count: int) -> bytes:
    return b"".join(line(f"{prefix}-{number}", note="x" * 200) for number in range(count))


def stream(table: pa.Table, rows: int, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue().to_pybytes()


def table(prefix: str, rows: int) -> pa.Table:
    return pa.table(
        {
            "transaction_id": [f"{prefix}-{number}" for number in range(rows)],
            "timestamp": pa.array([1767225600_000_000] * rows, pa.timestamp("us", "UTC")),
            "amount": pa.array(range(rows), pa.int32()),
            "merchant": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
            "note": ["x" * 200] * rows,
        }
    )


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_a_long_body_of_lines_comes_whole(http: httpx.Client, encoding: str) -> None:
    body = long_body(f"long-{encoding}", 30_000) + b'{"cut": \n\n' + line(f"last-{encoding}")
    packed = body if encoding == "identity" else pa.Codec(encoding).compress(body, asbytes=True)
    answer = http.post(PREDICTIONS, content=packed, headers={**NDJSON, "content-encoding": encoding})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 30_001), answer.text
    assert [(r["index"], r["code"]) for r in answer.json()["refused"]] == [(30_000, "json")]


def test_lines_in_chunks_that_end_anywhere(http: httpx.Client) -> None:
    body = long_body("chunked", 25_000)

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 777_777):
            yield body[start : start + 777_777]

    answer = http.post(PREDICTIONS, content=chunks(), headers=NDJSON)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 25_000)


def test_two_gzip_members_are_one_body(http: httpx.Client) -> None:
    body = gzip.compress(line("member-1")) + gzip.compress(line("member-2"))
    answer = http.post(PREDICTIONS, content=body, headers={**NDJSON, "content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)


def test_a_body_that_is_cut_keeps_what_came_before(http: httpx.Client) -> None:
    whole = gzip.compress(long_body("cut", 40_000))
    answer = http.post(PREDICTIONS, content=whole[:-9], headers={**NDJSON, "content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "request")
    assert "ends in the middle" in answer.json()["error"]["message"]


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_an_arrow_stream(http: httpx.Client, compression: str | None) -> None:
    body = stream(table(f"arrow-{compression}", 40_000), 9_000, compression=compression)
    answer = http.post(PREDICTIONS, content=body, headers=ARROW)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 40_000), answer.text


def test_rows_of_an_arrow_stream_are_refused_by_their_place(http: httpx.Client) -> None:
    rows = table("place", 30_000)
    names = rows["transaction_id"].to_pylist()
    names[29_999] = None
    rows = rows.set_column(0, "transaction_id", pa.array(names))
    answer = http.post(PREDICTIONS, content=stream(rows, 7_000), headers=ARROW)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 29_999)
    assert [(r["index"], r["code"]) for r in answer.json()["refused"]] == [(29_999, "id")]


def _bomb_of_rows() -> bytes:
    return stream(pa.table({"transaction_id": pa.array(["x" * 1000] * 100_000)}), 100_000, compression="zstd")


def _bomb_of_nulls() -> bytes:
    rows = 1 << 24
    return stream(pa.table({"transaction_id": pa.nulls(rows)}), rows)


def _bomb_of_views() -> bytes:
    return stream(pa.table({"transaction_id": pa.array(["x" * 100] * 10, pa.string_view())}), 10)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xff\xff\xff\x00\x00\x00\x00", 400),
        (b"ARROW1 this is no stream", 400),
        (b"\xff\xff\xff\xff\x10\x00\x00\x00" + b"\xff" * 16, 400),
        (stream(table("cut", 1000), 1000)[:-300], 400),
        (_bomb_of_rows(), 413),
        (_bomb_of_nulls(), 400),
        (_bomb_of_views(), 400),
    ],
    ids=["empty", "end", "file", "noise", "cut", "rows", "nulls", "views"],
)
def test_an_arrow_stream_that_cannot_be_read(http: httpx.Client, body: bytes, status: int) -> None:
    answer = http.post(PREDICTIONS, content=body, headers=ARROW)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_a_line_without_end_costs_no_more_than_a_record(http: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield line("before") + b'{"note": "'
        for _ in range(80):
            yield b"x" * (1 << 20)
        yield b'"}\n' + line("after")

    answer = http.post(PREDICTIONS, content=endless(), headers=NDJSON)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2), answer.text
    assert [(r["index"], r["code"]) for r in answer.json()["refused"]] == [(1, "size")]


def test_a_bomb_of_one_line_is_passed_over(http: httpx.Client) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(b"x" * (1 << 20)) for _ in range(300)) + packer.flush()
    answer = http.post(PREDICTIONS, content=body, headers={**NDJSON, "content-encoding": "gzip"})
    assert answer.status_code == 422
    assert [r["code"] for r in answer.json()["refused"]] == ["size"]


def test_a_batch_with_a_key_is_kept_once(http: httpx.Client) -> None:
    body, key = {"records": [{"transaction_id": "keyed", **FACTS}, 7]}, {"Idempotency-Key": "keyed-1"}
    first = http.post(PREDICTIONS, json=body, headers=key)
    again = http.post(PREDICTIONS, json=body, headers=key)
    assert (first.status_code, first.json()["accepted"]) == (202, 1)
    assert (again.status_code, again.json()) == (202, first.json())
    other = http.post(PREDICTIONS, json={"transaction_id": "other", **FACTS}, headers=key)
    assert (other.status_code, other.json()["error"]["where"]) == (409, "Idempotency-Key")
    assert http.post(
        LABELS, json={"transaction_id": "keyed", "ground_truth": {"is_fraud": True}}, headers=key
    ).is_success


def test_a_long_body_with_a_key_goes_on_where_it_stopped(http: httpx.Client) -> None:
    body, headers = long_body("resumed", 40_000), {**NDJSON, "Idempotency-Key": "resumed-1"}
    packed = gzip.compress(body)
    cut = http.post(PREDICTIONS, content=packed[:-9], headers={**headers, "content-encoding": "gzip"})
    assert cut.status_code == 400
    for _ in range(2):
        answer = http.post(PREDICTIONS, content=body, headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 40_000), answer.text


@pytest.mark.parametrize("key", ["", "x" * 300])
def test_a_key_that_cannot_be_one(http: httpx.Client, key: str) -> None:
    answer = http.post(PREDICTIONS, json={"transaction_id": "k", **FACTS}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]["where"]) == (400, "Idempotency-Key")


def test_what_contradicts_its_own_batch_is_said(http: httpx.Client) -> None:
    one = {"transaction_id": "twice", **FACTS}
    same = http.post(
        PREDICTIONS, json={"records": [one, one, {"transaction_id": "twice", "decision": "blocked"}]}
    )
    assert not [note for note in same.json()["notes"] if "say something else" in note]
    for count in (2, 200):
        records = [
            *[{**one, "transaction_id": f"twice-{n}"} for n in range(count)],
            {**one, "amount": 2, "transaction_id": "twice-0"},
        ]
        [note] = http.post(PREDICTIONS, json={"records": records}).json()["notes"]
        assert note.startswith("1 record(s) have the id of another one")
