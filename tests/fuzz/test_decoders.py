"""Bodies as they come: where they are cut says nothing, and no bytes whatever do more than be refused."""

import gzip
import json
import zlib
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whorl.api import arrow_parts, body, parts
from whorl.api.body import ARROW, JSON, NDJSON, decompressed
from whorl.api.failures import BodyError
from whorl.api.intake import Intake, together
from whorl.api.unpacked import Unpacked
from whorl.capture.conventions.otlp import read_request
from whorl.capture.mapping import Kind
from whorl.client.frames import KINDS as LOGGED
from whorl.client.frames import Logged, frame, unframed
from whorl.errors import RecordError
from whorl.records import Accepted
from whorl.serve.service import Service
from whorl.workspace import Workspace

SLICE, LONGEST = 200, 300
FEW = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
TIME = "2026-01-20T00:00:00Z"


class Outcome(NamedTuple):
    """What became of a body: the digest of each part, the answer so far, and what stopped it."""

    parts: list[str]
    answer: Accepted
    stopped: str


@pytest.fixture
def ws(service: Service, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """With parts and records of a few hundred bytes, so that small bodies have many."""
    for module in (body, parts, arrow_parts):
        monkeypatch.setattr(module, "SLICE_BYTES", SLICE)
    for module in (body, parts):
        monkeypatch.setattr(module, "MAX_RECORD_BYTES", LONGEST)
        monkeypatch.setattr(module, "SLICE_RECORDS", 5)
    for module in (parts, arrow_parts):
        monkeypatch.setattr(module, "_PIECE", 64)
    return service.wheel("shop").ws


def taken(ws: Workspace, kind: Kind, media: str, encoding: str, chunks: list[bytes]) -> Outcome:
    headers = {"content-type": media, "content-encoding": encoding, "idempotency-key": "fuzz"}
    digests, answer = list[str](), Accepted(accepted=0)
    try:
        intake = Intake(ws, kind, headers)
        for place, chunk in enumerate(chunks):
            intake.feed(chunk, last=place == len(chunks) - 1)
            while not intake.ended and (step := intake.next()):
                assert step.named is not None
                digests.append(step.named.digest)
                answer = together(answer, step.answer)
    except BodyError as error:
        return Outcome(digests, answer, f"{error.status} {error}")
    return Outcome(digests, answer, "")


def cut(whole: bytes, places: list[float]) -> list[bytes]:
    ends = sorted({int(place * len(whole)) for place in places} | {len(whole)})
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


PLACES = st.lists(st.floats(0, 1), max_size=12)
RECORD = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=5) | st.integers() | st.none(),
        "amount": st.floats() | st.text(max_size=3),
        "time": st.just(TIME),
    },
    optional={
        "order": st.text(max_size=4),
        "place": st.text(max_size=3),
        "note": st.text(max_size=400),
        "label": st.booleans(),
        "name": st.just("n"),
        "value": st.integers(),
    },
)
LINE = RECORD.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=20).filter(
    lambda raw: b"\n" not in raw
)
LINES = st.lists(LINE, max_size=12).map(b"\n".join)
DOCUMENT = RECORD.map(json.dumps).map(str.encode) | st.lists(RECORD, max_size=8).map(
    lambda some: json.dumps({"records": some}).encode()
)


def arrow(rows: list[dict[str, Any]], at_once: int, compression: str | None) -> bytes:
    table = pa.table(
        {
            "id": pa.array([str(row["id"]) for row in rows], pa.string()),
            "time": pa.array([row["time"] for row in rows], pa.string()),
            "amount": pa.array([row["amount"] if isinstance(row["amount"], float) else None for row in rows], pa.float64()),
            "place": pa.array([row.get("place") for row in rows], pa.string()).dictionary_encode(),
        }
    )  # fmt: skip
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as out:
        out.write_table(table, max_chunksize=at_once)
    return sink.getvalue().to_pybytes()


STREAM = st.builds(
    arrow, st.lists(RECORD, max_size=30), st.integers(1, 9), st.sampled_from([None, "lz4", "zstd"])
)
BODY = st.one_of(
    st.tuples(st.just(NDJSON), LINES), st.tuples(st.just(JSON), DOCUMENT), st.tuples(st.just(ARROW), STREAM)
)


def packed(plain: bytes, encoding: str, members: list[float]) -> bytes:
    """Compressed as one stream, or as several that follow each other."""
    if encoding == "":
        return plain
    if encoding == "gzip":
        return b"".join(gzip.compress(one, mtime=0) for one in cut(plain, members))
    return b"".join(pa.Codec("zstd").compress(one, asbytes=True) for one in cut(plain, members))


ENCODING = st.sampled_from(["", "gzip", "zstd"])


@FEW
@given(
    what=BODY,
    kind=st.sampled_from(["predictions", "labels", "feedback"]),
    encoding=ENCODING,
    members=PLACES,
    places=PLACES,
)
def test_a_body_is_the_same_wherever_it_is_cut(
    ws: Workspace,
    what: tuple[str, bytes],
    kind: Kind,
    encoding: str,
    members: list[float],
    places: list[float],
) -> None:
    media, plain = what
    sent = packed(plain, encoding, members)
    whole = taken(ws, kind, media, encoding, [sent])
    assert taken(ws, kind, media, encoding, cut(sent, places)) == whole
    assert taken(ws, kind, media, "", [plain]) == whole, "compressed or not"


@FEW
@given(
    what=BODY,
    encoding=ENCODING,
    places=PLACES,
    spoilt=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=4),
    end=st.floats(0, 1),
)
def test_a_spoilt_body_is_refused_or_some_of_its_records_are(
    ws: Workspace,
    what: tuple[str, bytes],
    encoding: str,
    places: list[float],
    spoilt: list[tuple[float, bytes]],
    end: float,
) -> None:
    media, plain = what
    sent = bytearray(packed(plain, encoding, []))
    for place, instead in spoilt:
        at = int(place * len(sent))
        sent[at : at + len(instead)] = instead
    whole = bytes(sent[: int(end * len(sent)) + 1])
    assert taken(ws, "predictions", media, encoding, cut(whole, places)) == taken(
        ws, "predictions", media, encoding, [whole]
    )


@FEW
@given(
    raw=st.binary(max_size=300),
    media=st.sampled_from([JSON, NDJSON, ARROW]),
    encoding=ENCODING,
    places=PLACES,
)
def test_any_bytes(ws: Workspace, raw: bytes, media: str, encoding: str, places: list[float]) -> None:
    for kind in ("predictions", "labels", "feedback"):
        assert taken(ws, kind, media, encoding, cut(raw, places)) == taken(ws, kind, media, encoding, [raw])


GOOD, BAD, BLANK, LONG = "good", "bad", "blank", "long"


@FEW
@given(
    lines=st.lists(st.sampled_from([GOOD, BAD, BLANK, LONG]), max_size=40),
    end=st.sampled_from([b"", b"\n", b"\r\n", b"\n\n"]),
    places=PLACES,
    encoding=ENCODING,
)
def test_each_line_counts_for_itself(
    ws: Workspace, lines: list[str], end: bytes, places: list[float], encoding: str
) -> None:
    """Against what is plain to see: good lines are accepted, the others refused by their place."""
    texts = {BAD: b'{"id": ', BLANK: b"  ", LONG: b'{"note": "' + b"x" * 3 * LONGEST + b'"}'}
    plain = b"\n".join(
        json.dumps({"id": f"line-{n}", "amount": 1.0, "time": TIME}).encode() if what == GOOD else texts[what]
        for n, what in enumerate(lines)
    )
    found = taken(ws, "predictions", NDJSON, encoding, cut(packed(plain + end, encoding, []), places))
    told = [what for what in lines if what != BLANK]
    assert bool(found.stopped) == (not told)
    assert found.answer.accepted == told.count(GOOD)
    refused = [(place, "size" if what == LONG else "json") for place, what in enumerate(told) if what != GOOD]
    assert [(one.index, one.code) for one in found.answer.refused] == refused


@FEW
@given(
    plain=st.binary(max_size=2000).map(lambda raw: raw * 20),
    encoding=ENCODING,
    members=PLACES,
    places=PLACES,
    size=st.integers(1, 5000),
)
def test_unpacked_is_what_was_packed(
    plain: bytes, encoding: str, members: list[float], places: list[float], size: int
) -> None:
    sent = packed(plain, encoding, members)
    unpacked, found = Unpacked(encoding), b""
    for place, chunk in enumerate(chunks := cut(sent, places)):
        unpacked.feed(chunk, last=place == len(chunks) - 1)
        while piece := unpacked.read(size):
            assert len(piece) <= size
            found += piece
    assert found == plain
    assert decompressed(sent, encoding) == plain


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@FEW
@given(plain=st.binary(min_size=1, max_size=500), end=st.floats(0, 1, exclude_max=True))
def test_what_is_cut_is_never_taken_for_whole(encoding: str, plain: bytes, end: float) -> None:
    sent = packed(plain, encoding, [])
    kept = int(end * len(sent))
    assume(kept or encoding == "gzip")
    with pytest.raises(BodyError):
        decompressed(sent[:kept], encoding)


def test_members_by_the_thousand_cost_what_their_bytes_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0

    class Counted:
        """Counts what is handed to zlib: what lies behind a member is copied each time."""

        def __init__(self, bits: int) -> None:
            self._inner = zlib_object(bits)

        def decompress(self, data: bytes, size: int) -> bytes:
            nonlocal copied
            copied += len(data)
            return self._inner.decompress(data, size)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    zlib_object = zlib.decompressobj
    monkeypatch.setattr("whorl.api.unpacked.zlib.decompressobj", Counted)
    members = 20_000
    sent = gzip.compress(b"") * members
    assert decompressed(sent, "gzip") == b""
    assert copied <= members * (16 << 10)


EXPORT = st.sampled_from([ExportTraceServiceRequest, ExportLogsServiceRequest])


@pytest.mark.parametrize("raw", [b'"AAA"', b'""', b"[]", b'["resourceSpans"]', b"7", b"null", b"true"])
def test_otlps_json_is_an_object(raw: bytes) -> None:
    with pytest.raises(RecordError, match="OTLP's JSON"):
        read_request(raw, ExportTraceServiceRequest, json=True)


@FEW
@given(
    records=st.lists(st.builds(Logged, st.sampled_from(LOGGED), st.binary(max_size=40)), max_size=8),
    torn=st.floats(0, 1),
    junk=st.binary(max_size=30),
    most=st.integers(1, 9),
)
def test_frames_of_a_spool_are_read_up_to_where_they_are_whole(
    records: list[Logged], torn: float, junk: bytes, most: int
) -> None:
    frames = [frame(record) for record in records]
    data = b"".join(frames)
    kept = int(torn * len(data))
    found, end = unframed(data[:kept], most)
    assert found == records[: len(found)]
    assert end == sum(map(len, frames[: len(found)])) <= kept
    assert len(found) == most or kept - end < (len(frames[len(found)]) if len(found) < len(frames) else 1)
    behind, _ = unframed(data + junk, len(records) + 9)
    assert behind[: len(records)] == records


@FEW
@given(data=st.binary(max_size=200))
def test_any_bytes_of_a_spool(data: bytes) -> None:
    records, end = unframed(data, 100)
    assert b"".join(map(frame, records)) == data[:end]
