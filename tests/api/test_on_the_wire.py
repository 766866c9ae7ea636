"""What no client library sends: bombs, lies, slow and broken requests on a real socket. Nothing breaks, nothing grows, nothing is lost."""

import gzip
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from server_process import ServerProcess
from wire import answer_on, request, resident_bytes, said, status

PREDICTIONS, PREDICT, TRACES = "/v1/flywheels/fraud/predictions", "/v1/flywheels/fraud/predict", "/v1/traces"
NDJSON, PROTOBUF = "application/x-ndjson", "application/x-protobuf"
# What one server may take more than it had, whatever is sent: bodies in memory, and what some threads unpack at once.
MAY_GROW = 1 << 30


def row(name: str) -> bytes:
    return json.dumps(
        {"transaction_id": name, "timestamp": "2026-01-01T00:00:00Z", "amount": 1.5, "merchant": "a"}
    ).encode()


class Kept:
    """Good records that are sent between the others, and what must be in the lake of them."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.names: list[str] = []

    def one(self) -> None:
        name = f"kept-{len(self.names)}"
        assert status(said(self._server.port, request(PREDICTIONS, row(name)))) == 202
        self.names.append(name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("wire"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def kept(server: ServerProcess) -> Kept:
    return Kept(server)


@pytest.fixture(autouse=True)
def answers_before_and_after(server: ServerProcess, kept: Kept) -> Iterator[None]:
    kept.one()
    yield
    kept.one()
    assert server.process.poll() is None
    assert "Traceback" not in server.log.read_text()


def zeros(encoding: str, size: int) -> bytes:
    some = b" " * (1 << 20)
    if encoding == "gzip":
        return gzip.compress(some * (size >> 20), 9)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, encoding) as out:
        for _ in range(size >> 20):
            out.write(some)
    return sink.getvalue().to_pybytes()


def bomb(encoding: str) -> bytes:
    return zeros(encoding, 500 << 20)


def nested(encoding: str) -> bytes:
    """A bomb inside a bomb: only the outer one may be unpacked."""
    inner = zeros(encoding, 64 << 20)
    return gzip.compress(inner) if encoding == "gzip" else pa.Codec(encoding).compress(inner, asbytes=True)


def members(encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(b" " * (1 << 20), 9) * 500
    return pa.Codec(encoding).compress(b" " * (1 << 20), asbytes=True) * 500


def tiny(encoding: str) -> bytes:
    """Of few bytes each, thirty million records: what is said of them must not be kept of all."""
    body = b'{"records":[' + b"1," * (30 << 20) + b"1]}"
    return gzip.compress(body, 1) if encoding == "gzip" else pa.Codec(encoding).compress(body, asbytes=True)


def grown(server: ServerProcess, sent: bytes, at_once: int) -> tuple[set[int], int]:
    """The statuses of so many requests at once, and how much more memory the server had while they were answered."""
    answers, before = list[int](), resident_bytes(server.process.pid)
    most = before
    senders = [
        threading.Thread(target=lambda: answers.append(status(said(server.port, sent, within_s=300.0))))
        for _ in range(at_once)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        while sender.is_alive():
            most = max(most, resident_bytes(server.process.pid))
            sender.join(0.02)
    assert len(answers) == at_once
    return set(answers), most - before


ROUTES = [
    (PREDICTIONS, "application/json"),
    (PREDICTIONS, NDJSON),
    (PREDICT, "application/json"),
    (TRACES, PROTOBUF),
]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("made", [bomb, nested, members, tiny], ids=lambda made: made.__name__)
def test_bombs_at_once(server: ServerProcess, made: Callable[[str], bytes], encoding: str) -> None:
    """500 MB in half a megabyte or less, six at a time."""
    body = made(encoding)
    for path, media in ROUTES:
        sent = request(path, body, content_type=media, content_encoding=encoding)
        statuses, grew = grown(server, sent, 6)
        assert statuses <= {400, 413, 422, 503}, (path, media)
        assert grew < MAY_GROW, f"{path}, {media}: {grew:,} bytes more for 6 bodies of {len(body):,}"


def test_records_of_two_bytes(server: ServerProcess) -> None:
    """No compression at all: two megabytes of lines that are all refused."""
    statuses, grew = grown(server, request(PREDICTIONS, b"1\n" * 1_000_000, content_type=NDJSON), 1)
    assert statuses == {422}
    assert grew < 200 << 20


DEEP = b"[" * 200_000, b'{"a":' * 200_000, b'{"transaction_id":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
NOT_UTF8 = b'{"transaction_id": "\xff\xfe"}', b"\xff\xfe\x00", b'{"\xc3\x28": 1}', b'"\xed\xa0\x80"'


@pytest.mark.parametrize("body", [*DEEP, *NOT_UTF8], ids=lambda body: repr(body[:22]))
@pytest.mark.parametrize(("path", "media"), ROUTES)
def test_deep_json_and_bytes_that_are_no_text(
    server: ServerProcess, path: str, media: str, body: bytes
) -> None:
    assert status(said(server.port, request(path, body, content_type=media))) in (400, 422)


ODD = "%ff%fe", "%c3%28", "%00", "%f0%9f%92%a9", "a%2fb", "\xff", "x" * 10_000


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd[:12]))
def test_odd_text_in_path_query_and_headers(server: ServerProcess, odd: str) -> None:
    for sent in (
        request(PREDICTIONS.replace("fraud", odd), row("odd")),
        request(f"{PREDICTIONS}?native={odd}", row("odd")),
        request(f"/v1/flywheels/fraud/cycles?before={odd}", method="GET"),
        request(f"/v1/flywheels/fraud/cases?cycle={odd}&before={odd}", method="GET"),
        request(f"/v1/flywheels/fraud/datasets?before={odd}&{odd}={odd}", method="GET"),
        request(PREDICTIONS, b"{}", idempotency_key=odd),
        request(PREDICTIONS, b"{}", content_encoding=odd),
        request(PREDICTIONS, b"{}", content_type=odd),
        request(PREDICTIONS, b"{}", authorization=f"Bearer {odd}"),
        request(PREDICTIONS, b"{}", origin=odd),
        request(TRACES, b"{}", x_whorl_flywheel=odd),
    ):
        # The parser of HTTP itself closes on some: then there is no answer.
        assert status(said(server.port, sent)) in (0, *range(200, 500)), sent[:80]


def test_huge_headers(server: ServerProcess) -> None:
    before = resident_bytes(server.process.pid)
    for size in (1 << 14, 1 << 18, 1 << 22, 1 << 26):
        answer = status(said(server.port, request(PREDICTIONS, b"{}", x_large="x" * size)))
        assert answer in (0, 400, 422, 431), size
    many = request(PREDICTIONS, b"{}", **{f"x_{n}": "x" for n in range(5_000)})
    assert status(said(server.port, many)) in (0, 400, 422, 431)
    assert resident_bytes(server.process.pid) - before < 128 << 20


@pytest.mark.parametrize(
    "media", ["text/plain", "", "application/xml", "multipart/form-data; boundary=x", "a/b/c;;"]
)
def test_wrong_media_types(server: ServerProcess, media: str) -> None:
    for path in (PREDICTIONS, PREDICT, TRACES):
        assert status(said(server.port, request(path, b"{}", content_type=media))) == 415


def test_slow_bodies_and_slow_headers_keep_nobody_waiting(server: ServerProcess, kept: Kept) -> None:
    """A hundred that send a byte now and then: others are answered meanwhile, and what came of a body is not held long."""
    before = resident_bytes(server.process.pid)
    with ExitStack() as open_ones:
        slow = []
        for number in range(100):
            wire = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30.0))
            path, media = ROUTES[number % len(ROUTES)]
            begun = request(path, b"", content_type=media, content_length=1 << 20)
            wire.sendall(begun[:40] if number % 2 else begun + b'{"transaction_id": "slow')
            slow.append(wire)
        for wire in slow:
            wire.sendall(b"x")
        for _ in range(5):
            kept.one()
        assert resident_bytes(server.process.pid) - before < 64 << 20
    kept.one()


@pytest.mark.parametrize(
    ("length", "answers"),
    [
        ("1000000", {0}),
        ("2", {400, 422}),
        ("-1", {0, 400}),
        ("many", {0, 400}),
        (str(1 << 62), {0, 400, 413}),
        ("0", {400}),
    ],
)
def test_a_content_length_that_lies(server: ServerProcess, length: str, answers: set[int]) -> None:
    """Too long: it never comes whole, so nothing of it is kept; too short: the rest is no request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30.0) as wire:
        wire.sendall(request(PREDICTIONS, row("lied"), content_length=length))
        wire.shutdown(socket.SHUT_WR)
        assert status(answer_on(wire)) in answers | {400}


def test_both_lengths_at_once_are_not_two_requests(server: ServerProcess) -> None:
    smuggled = request(PREDICTIONS, row("smuggled"))
    body = b"0\r\n\r\n" + smuggled
    answer = said(server.port, request(PREDICTIONS, body, transfer_encoding="chunked"))
    assert answer.count(b"HTTP/1.1 202") == 0


def test_requests_in_one_packet_are_answered_each(server: ServerProcess, kept: Kept) -> None:
    names = [f"piped-{number}" for number in range(20)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30.0) as wire:
        wire.sendall(b"".join(request(PREDICTIONS, row(name)) for name in names))
        assert answer_on(wire, answers=len(names)).count(b"HTTP/1.1 202") == len(names)
    kept.names += names


@pytest.mark.parametrize("length", [0, None])
def test_no_body(server: ServerProcess, length: int | None) -> None:
    for path in (PREDICTIONS, PREDICT):
        assert status(said(server.port, request(path, content_length=length))) == 400


def test_at_the_end_what_was_good_is_in_the_lake_once(server: ServerProcess, kept: Kept) -> None:
    assert len(kept.names) > 100
    assert server.stop() == 0
    there = Counter(
        DeltaTable(server.root / "lake" / "fraud" / "predictions")
        .to_pyarrow_table(columns=["id"])["id"]
        .to_pylist()
    )
    assert {name: there[name] for name in kept.names} == dict.fromkeys(kept.names, 1)
    assert not {"lied", "smuggled", "slow"} & there.keys()
    server.start()
