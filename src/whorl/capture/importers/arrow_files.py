"""Parquet and Arrow IPC (file or stream) as chunks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from whorl.capture.importers.chunks import Chunk
from whorl.capture.raw_columns import normal
from whorl.errors import SourceError

CHUNK_ROWS = 131_072


def parquet_chunks(path: Path, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Raises SourceError for what is no whole Parquet file."""
    with _translated(path, "Parquet"), pq.ParquetFile(path) as file:
        total, done = file.metadata.num_rows, 0
        if total == 0:
            yield Chunk(share=1.0, table=file.schema_arrow.empty_table())
        for batch in file.iter_batches(batch_size=rows):
            done += batch.num_rows
            yield _chunk(batch, done, done / total)


def arrow_chunks(path: Path, *, stream: bool) -> Iterator[Chunk]:
    """Raises SourceError for what is no whole Arrow file."""
    with _translated(path, "Arrow"), pa.memory_map(str(path)) as file:
        if stream:
            reader: Any = pa.ipc.open_stream(file)
            shares: Any = ((batch, min(file.tell() / path.stat().st_size, 1.0)) for batch in reader)
        else:
            reader = pa.ipc.open_file(file)
            count = reader.num_record_batches
            shares = ((reader.get_batch(i), (i + 1) / count) for i in range(count))
        done = 0
        for batch, share in shares:
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                part = batch.slice(start, CHUNK_ROWS)
                done += part.num_rows
                yield _chunk(part, done, share)
        if done == 0:
            yield Chunk(share=1.0, table=reader.schema.empty_table())


def parquet_records(path: Path, rows: int) -> Iterator[Chunk]:
    """The rows of a Parquet file as JSON would have them: maps as objects, times as ISO text, decimals as numbers."""
    for chunk in parquet_chunks(path, rows):
        assert chunk.table is not None
        records = [_plain(row) for row in normal(chunk.table).to_pylist(maps_as_pydicts="lossy")]
        yield Chunk(share=chunk.share, records=records, numbers=chunk.numbers)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(_plain(key)): _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case datetime():
            return value.isoformat()
        case Decimal():
            return float(value)
        case bytes():
            return value.decode("utf-8", "replace")
    return value


def _chunk(batch: pa.RecordBatch, done: int, share: float) -> Chunk:
    numbers = range(done - batch.num_rows + 1, done + 1)
    return Chunk(share=share, table=pa.Table.from_batches([batch]), numbers=numbers)


@contextmanager
def _translated(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"This is not a whole {kind} file: {error}.",
            where=str(path),
            hint="Is it truncated? Write it again; rows that were taken in stay, and are not doubled.",
        ) from error
