"""What other tools write as chunks: JSON (one object a line, one array, one object over many lines, a page of an API) or Parquet.

Lines and Parquet are read as a stream. An array or an object is held as bytes, and its records are decoded chunk by chunk.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from whorl.capture.importers import json_lines
from whorl.capture.importers.arrow_files import parquet_records
from whorl.capture.importers.chunks import Chunk
from whorl.capture.importers.text_stream import open_text
from whorl.capture.sealed import too_large
from whorl.capture.values import MAX_RECORD_BYTES, refusal_of
from whorl.errors import SourceError
from whorl.records import Refusal

MAX_DOCUMENT_BYTES = 2_000_000_000
# What a page of an API has beside its `data`.
_BESIDE = frozenset(("meta", "next_cursor"))


def document_chunks(path: Path) -> Iterator[Chunk]:
    """Raises SourceError for a file that is empty, or holds no JSON."""
    if _is_parquet(path):
        yield from parquet_records(path, json_lines.CHUNK_ROWS)
        return
    with open_text(path) as stream:
        head = stream.bytes.readline(MAX_RECORD_BYTES + 2).removeprefix(b"\xef\xbb\xbf").strip()
        while not head and (line := stream.bytes.readline(MAX_RECORD_BYTES + 2)):
            head = line.strip()
    if not head:
        raise SourceError("The file is empty.", where=str(path))
    if _is_line(head):
        yield from json_lines.json_lines_chunks(path)
        return
    records = _records(path)
    for start in range(0, len(records), json_lines.CHUNK_ROWS):
        yield _chunk(records, start, min(start + json_lines.CHUNK_ROWS, len(records)))


def _is_parquet(path: Path) -> bool:
    with open_text(path) as stream:
        return stream.bytes.read(4) == b"PAR1"


def _is_line(head: bytes) -> bool:
    """Whether a file that begins so has one object a line: the first is whole, or is plainly broken."""
    if head.startswith(b"["):
        return False
    try:
        return not _is_page(msgspec.json.decode(head))
    except (msgspec.DecodeError, RecursionError):
        return not head.endswith((b"{", b"[", b","))


def _is_page(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data"), list) and not _BESIDE.isdisjoint(value)


def _records(path: Path) -> list[msgspec.Raw]:
    with open_text(path) as stream:
        content = stream.bytes.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise SourceError(
            f"This JSON document is larger than {MAX_DOCUMENT_BYTES} bytes.",
            where=str(path),
            hint=f"Write one record a line: jq -c '.[]' {path.name} > {path.stem}.ndjson",
        )
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        if content.lstrip().startswith(b"["):
            return msgspec.json.decode(content, type=list[msgspec.Raw])
        page = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        if not _BESIDE.isdisjoint(page) and bytes(page.get("data", b"")).startswith(b"["):
            return msgspec.json.decode(page["data"], type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise SourceError(
            f"This is not JSON: {error}.", where=str(path), hint="Is it truncated? Write it again."
        ) from None
    return [msgspec.Raw(content)]


def _chunk(records: list[msgspec.Raw], start: int, end: int) -> Chunk:
    chunk = Chunk(share=end / len(records))
    for number, raw in enumerate(records[start:end], start=start + 1):
        try:
            if len(bytes(raw)) > MAX_RECORD_BYTES:
                chunk.refused.append(refusal_of(too_large(len(bytes(raw))), number))
            else:
                chunk.records.append(msgspec.json.decode(raw))
                chunk.numbers.append(number)  # type: ignore[union-attr]
        except (msgspec.DecodeError, RecursionError) as error:
            chunk.refused.append(Refusal(index=number, code="json", message=f"it is not JSON: {error}."))
    return chunk
