"""How bodies are cut: what they keep until then is known, and neither repeated nor replaced dictionaries cost more than their bytes."""

import gzip
import hashlib
from collections.abc import Iterator

import pyarrow as pa
import pytest

from whorl.api import arrow_parts, arrow_slices
from whorl.api.arrow_parts import ArrowParts
from whorl.api.failures import BodyError
from whorl.api.parts import Document, Lines, Part, Parts
from whorl.api.unpacked import Unpacked

MB = 1 << 20


def cut(parts: Parts, unpacked: Unpacked, body: bytes, size: int) -> Iterator[Part]:
    """The parts of a body that comes in pieces of a size."""
    for start in range(0, len(body), size):
        unpacked.feed(body[start : start + size], last=start + size >= len(body))
        while not parts.ended and (part := parts.next()):
            yield part


def digests(body: bytes, size: int) -> list[str]:
    unpacked = Unpacked("")
    return [hashlib.sha256(part.content).hexdigest() for part in cut(Lines(unpacked), unpacked, body, size)]


def test_parts_of_lines_are_the_same_however_they_came() -> None:
    body = b'{"id":1}\n{"id":"' + b"x" * 16_300_000 + b'"}\n{"id":2}\n'
    first, *others = [digests(body, size) for size in (4 * MB, 5_000_000, 6_000_000, len(body))]
    assert len(first) == 3
    assert all(other == first for other in others)


@pytest.mark.parametrize("kind", [Document, Lines, ArrowParts])
def test_what_a_body_keeps_is_known(kind: type[Document | Lines | ArrowParts]) -> None:
    begun = b"" if kind is not ArrowParts else b"\xff\xff\xff\xff" + (MB * 60).to_bytes(4, "little")
    plain = begun + b"x" * 3 * MB
    for encoding, sent in (("", plain), ("gzip", gzip.compress(plain)), ("zstd", plain)):
        unpacked = Unpacked(encoding)
        parts = kind(unpacked)
        unpacked.feed(sent, last=False)
        assert parts.next() is None
        assert unpacked.kept + parts.kept == len(plain)


def coded(values: list[list[str]]) -> bytes:
    """A stream with a dictionary of its own for each record batch."""
    schema = pa.schema([("id", pa.dictionary(pa.int8(), pa.string()))])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for some in values:
            writer.write_batch(
                pa.record_batch([pa.array(some).dictionary_encode().cast(schema[0].type)], schema=schema)
            )
    return sink.getvalue().to_pybytes()


def read(body: bytes) -> list[Part]:
    unpacked = Unpacked("")
    return list(cut(ArrowParts(unpacked), unpacked, body, len(body)))


def rows(parts: list[Part]) -> list[list[tuple[int, int]]]:
    """Of each part, the place and the number of its rows."""
    return [[(table.first, table.rows.num_rows) for table in part.batches] for part in parts]  # type: ignore[union-attr]


def test_replaced_dictionaries_are_read_once() -> None:
    few, many = (coded([[f"{number}"] for number in range(count)]) for count in (100, 400))
    parts = read(many)
    assert [[table.rows.to_pylist() for table in part.batches] for part in parts] == [  # type: ignore[union-attr]
        [[{"id": f"{number}"}]] for number in range(400)
    ]
    assert len(parts[-1].content) < len(few) / 20


def test_dictionaries_that_change_too_often_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_parts, "_MOST_AGAIN", 10_000)
    with pytest.raises(BodyError, match="change too often") as refused:
        read(coded([[f"{number}"] for number in range(100)]))
    assert refused.value.status == 400


def test_rows_that_become_large_are_parts_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_slices, "_SLICE_BYTES", 2500)
    body = coded([["x" * 1000] * 5])
    parts = read(body)
    assert len({part.content for part in parts}) == 3
    assert rows(parts) == [[(0, 2)], [(2, 2)], [(4, 1)]]
    assert [part.content for part in read(body)] == [part.content for part in parts]


def test_a_bomb_of_dictionaries_is_refused() -> None:
    with pytest.raises(BodyError, match="written out") as refused:
        read(coded([["x" * MB] * 1025]))
    assert refused.value.status == 413
