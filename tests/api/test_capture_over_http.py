"""Records over HTTP: every shape and encoding, each bad record named, its neighbours kept."""

import gzip
import json
from typing import Any

import httpx
import pyarrow as pa
import pytest

PREDICTIONS, LABELS, FEEDBACK = (
    f"/v1/flywheels/fraud/{kind}" for kind in ("predictions", "labels", "feedback")
)
NDJSON = {"content-type": "application/x-ndjson"}


def record(name: str, **more: Any) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "timestamp": "2026-01-01T00:00:00Z",
        "amount": 1.5,
        "merchant": "a",
        **more,
    }


def test_one_record_many_records_and_lines(http: httpx.Client) -> None:
    for answer, count in (
        (http.post(PREDICTIONS, json=record("one", prediction={"fraud_probability": 0.6})), 1),
        (http.post(PREDICTIONS, json={"records": [record("two"), record("three")]}), 2),
        (http.post(PREDICTIONS, content=_lines(record("four"), record("five")), headers=NDJSON), 2),
        (http.post(LABELS, json={"transaction_id": "one", "ground_truth": {"is_fraud": True}}), 1),
        (http.post(FEEDBACK, json={"prediction_id": "one", "name": "thumbs", "value": 1}), 1),
        (http.post(PREDICTIONS, json={"records": []}), 0),
    ):
        assert (answer.status_code, answer.json()["accepted"]) == (202, count), answer.text
        assert answer.json()["refused"] == []


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity"])
def test_compressed_bodies(http: httpx.Client, encoding: str) -> None:
    body = json.dumps({"records": [record(f"{encoding}-{i}") for i in range(100)]}).encode()
    packed = body if encoding == "identity" else pa.Codec(encoding).compress(body, asbytes=True)
    headers = {"content-type": "application/json", "content-encoding": encoding}
    answer = http.post(PREDICTIONS, content=packed, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 100)


def test_a_bad_record_is_named_and_its_neighbours_are_kept(http: httpx.Client) -> None:
    lines = _lines(record("good-1"), record("bad", amount="much")) + b'{"cut": \n' + _lines(record("good-2"))
    answer = http.post(PREDICTIONS, content=lines, headers=NDJSON)
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer.json()["refused"]] == [(1, "feature"), (2, "json")]


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("as_lines", [False, True])
def test_numbers_that_json_does_not_know_cost_no_neighbour(
    http: httpx.Client, odd: str, as_lines: bool
) -> None:
    texts = [json.dumps(record(f"{odd}-{as_lines}-{i}", amount=0.0)) for i in range(2)]
    texts[1] = texts[1].replace("0.0", odd)
    body = "\n".join(texts) if as_lines else '{"records": [' + ",".join(texts) + "]}"
    headers = NDJSON if as_lines else {"content-type": "application/json"}
    answer = http.post(PREDICTIONS, content=body.encode(), headers=headers).json()
    assert (answer["accepted"], answer["refused"]) == (2, [])
    assert "amount" in answer["notes"][0]


def test_when_all_are_refused_the_answer_is_422_with_every_reason(http: httpx.Client) -> None:
    answer = http.post(PREDICTIONS, json={"records": [record("a\u0001"), {"amount": 1}, 7]})
    body = answer.json()
    assert answer.status_code == 422
    assert body["error"]["code"] == "record"
    assert body["error"]["where"] == "records[0]"
    assert [r["index"] for r in body["refused"]] == [0, 1, 2]


def test_notes_say_what_was_taken_for_granted(http: httpx.Client) -> None:
    answer = http.post(PREDICTIONS, json=record("zoneless", timestamp="2026-01-01T00:00:00"))
    assert answer.json()["notes"] == ["1 time(s) without a zone were taken as UTC."]


@pytest.mark.parametrize("as_lines", [True, False])
def test_a_record_of_50_mb_is_refused_by_itself(http: httpx.Client, as_lines: bool) -> None:
    huge, small = record("huge", note="x" * 50_000_000), record("small")
    if as_lines:
        answer = http.post(PREDICTIONS, content=_lines(huge, small), headers=NDJSON)
    else:
        answer = http.post(PREDICTIONS, json={"records": [huge, small]})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    [refused] = answer.json()["refused"]
    assert (refused["index"], refused["code"]) == (0, "size")
    assert "URI" in refused["hint"]


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused(http: httpx.Client) -> None:
    bomb = gzip.compress(b" " * (65 << 20))
    assert len(bomb) < 1 << 20
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = http.post(PREDICTIONS, content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "request"),
        (b"[1]", {}, 400, "request"),
        (b'{"a": 1', {}, 400, "request"),
        (b"\xff\xfe", {}, 400, "request"),
        (b"[" * 100_000, {}, 400, "request"),
        (b"a=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "media_type"),
        (b"{}", {"content-encoding": "br"}, 415, "media_type"),
        (b"{}", {"content-encoding": "gzip"}, 400, "request"),
        (gzip.compress(b"{}" * 500, mtime=0)[:-9], {"content-encoding": "gzip"}, 400, "request"),
    ],
)
def test_a_body_that_cannot_be_read(
    http: httpx.Client, content: bytes, headers: Any, status: int, code: str
) -> None:
    answer = http.post(PREDICTIONS, content=content, headers={"content-type": "application/json", **headers})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["error"]["message"]


def _lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)
