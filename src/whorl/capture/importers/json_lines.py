"""NDJSON (one JSON object a line) as chunks. A line that is too long is passed over without being held in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from whorl.capture.importers.chunks import Chunk
from whorl.capture.importers.text_stream import TextStream, open_text
from whorl.capture.sealed import too_large
from whorl.capture.values import MAX_RECORD_BYTES, refusal_of
from whorl.errors import SourceError
from whorl.records import Refusal

CHUNK_ROWS = 20_000
CHUNK_BYTES = 64_000_000


def json_lines_chunks(path: Path) -> Iterator[Chunk]:
    """Raises SourceError for a file that is one JSON array."""
    with open_text(path) as stream:
        records: list[Any] = []
        numbers: list[int] = []
        refused: list[Refusal] = []
        held = 0
        for number, line in _lines(stream):
            if number == 1 and line.lstrip().startswith(b"["):
                raise SourceError(
                    "This is a JSON array, not one object a line.", where=f"{path} line 1",
                    hint=f"Convert it: jq -c '.[]' {path.name} > {path.stem}.ndjson",
                )  # fmt: skip
            held += len(line)
            try:
                records.append(_decoded(line))
                numbers.append(number)
            except (ValueError, RecursionError) as error:
                refused.append(_not_json(number, line, error))
            if len(records) + len(refused) >= CHUNK_ROWS or held >= CHUNK_BYTES:
                yield Chunk(share=stream.share, records=records, numbers=numbers, refused=refused)
                records, numbers, refused, held = [], [], [], 0
        if records or refused:
            yield Chunk(share=1.0, records=records, numbers=numbers, refused=refused)


def _decoded(line: bytes) -> Any:
    if len(line) > MAX_RECORD_BYTES:
        raise ValueError
    return msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))


def _not_json(number: int, line: bytes, error: Exception) -> Refusal:
    if len(line) > MAX_RECORD_BYTES:
        return refusal_of(too_large(len(line)), number)
    return Refusal(
        index=number, code="json", message=f"it is not JSON: {error}.", hint="One JSON object a line."
    )


def _lines(stream: TextStream) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their number from 1; one that is too long comes cut off, but longer than allowed."""
    number = 0
    while line := stream.bytes.readline(MAX_RECORD_BYTES + 2):
        number += 1
        rest = line
        while len(rest) == MAX_RECORD_BYTES + 2 and not rest.endswith(b"\n"):
            rest = stream.bytes.readline(MAX_RECORD_BYTES + 2)
        line = line.rstrip(b"\r\n") if len(line) <= MAX_RECORD_BYTES else line
        if line.strip():
            yield number, line
