"""CSV as chunks: every cell is text, to be read by the spec's types; an empty cell is no value.

Python's own reader is used because it knows the line of every row, also behind cells with line breaks.
"""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from whorl.capture.importers.chunks import Chunk
from whorl.capture.importers.text_stream import open_text
from whorl.capture.values import MAX_RECORD_BYTES
from whorl.errors import SourceError
from whorl.records import Refusal

CHUNK_ROWS = 50_000
_DELIMITERS = ",;\t|"


def csv_chunks(path: Path) -> Iterator[Chunk]:
    """Raises SourceError for a header that cannot be meant, or a quote that never closes."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    with open_text(path) as stream:
        # A byte that is not UTF-8 becomes a lone surrogate here, and its row is refused below.
        text = io.TextIOWrapper(stream.bytes, encoding="utf-8-sig", errors="surrogateescape", newline="")
        first = text.readline(MAX_RECORD_BYTES)
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(chain([first], text), delimiter=delimiter)
        header = _header(next(reader, []), path)
        found_any = False
        for rows, lines, refused in _batches(reader, len(header), path):
            found_any = True
            yield _chunk(header, rows, lines, refused, stream.share)
        if not found_any:
            yield Chunk(share=1.0, table=pa.table({name: pa.nulls(0, pa.string()) for name in header}))


def _header(names: list[str], path: Path) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"Two columns are called '{twice[0]}'.", where=f"{path} line 1", hint="Rename one.")
    if any("\udc80" <= char <= "\udcff" for name in names for char in name):
        raise SourceError(
            "The header is not UTF-8 text.", where=f"{path} line 1", hint="Convert the file to UTF-8."
        )
    return names


def _batches(
    reader: Any, width: int, path: Path
) -> Iterator[tuple[list[list[str]], list[int], list[Refusal]]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    refused: list[Refusal] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise SourceError(
                f"This cannot be read as CSV: {error}.",
                where=f"{path} line {line}",
                hint="Does a quote there never close? Rows before it are kept when they filled a chunk.",
            ) from None
        if row is not None and len(row) == width:
            rows.append(row)
            lines.append(line)
        elif row:
            message = f"expected {width} cells, found {len(row)}."
            refused.append(
                Refusal(index=line, code="cells", message=message, hint="Quote cells that hold commas.")
            )
        if (row is None and (rows or refused)) or len(rows) + len(refused) >= CHUNK_ROWS:
            yield rows, lines, refused
            rows, lines, refused = [], [], []
        if row is None:
            return


def _chunk(
    header: list[str], rows: list[list[str]], lines: list[int], refused: list[Refusal], share: float
) -> Chunk:
    try:
        table = _table(header, rows)
    except UnicodeEncodeError:
        good = [_is_text(row) for row in rows]
        refused = refused + [
            Refusal(
                index=line,
                code="encoding",
                message="it is not UTF-8 text.",
                hint="Convert the file to UTF-8.",
            )
            for line, fine in zip(lines, good, strict=True)
            if not fine
        ]
        lines = [line for line, fine in zip(lines, good, strict=True) if fine]
        table = _table(header, [row for row, fine in zip(rows, good, strict=True) if fine])
    return Chunk(share=share, table=table, numbers=lines, refused=refused)


def _table(header: list[str], rows: list[list[str]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    arrays = [pa.array([cell or None for cell in column], pa.string()) for column in columns]
    return pa.table(arrays, names=header)


def _is_text(row: list[str]) -> bool:
    return not any("\udc80" <= char <= "\udcff" for cell in row for char in cell)
