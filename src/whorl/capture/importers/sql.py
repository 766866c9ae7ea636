"""`whorl ingest --sql URL --query ... --watermark COLUMN`: rows of any database, streamed, each exactly once.

One run of a query at a time. A chunk of rows goes into the inbox in the very ledger transaction that moves the watermark, so
both stay or neither; before they take the room of others there, the run moves them on to the lake. Rows come in the watermark's order. Rows that share the last value seen are read again next
time (a late one may have joined them) and known by a digest of their content: none is lost, none doubled, and one that
was changed comes again. What no watermark can see: rows that appear later with a smaller value. Rows without one are not
taken, and counted.
"""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from whorl.capture.accept import seal_all
from whorl.capture.bulk import Bulk, Rows
from whorl.capture.flush import flush
from whorl.capture.importers.report import IngestReport, Rejects
from whorl.capture.mapping import Kind, Mapper
from whorl.capture.scrub.scrubber import WITHOUT_CONSENT, Scrubber
from whorl.capture.sealed import pack
from whorl.capture.values import Notes
from whorl.errors import SourceError, StateError, StorageError, did_you_mean
from whorl.spec import Spec
from whorl.storage import watermarks
from whorl.storage.company_database import engine_of
from whorl.storage.ledger.ledger import place_of
from whorl.storage.lock import Lock, take_if_free
from whorl.workspace import Workspace

CHUNK_ROWS = 20_000
_VALUES: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": Decimal,
    "int": int,
    "float": float,
    "str": str,
}


class Watermark(msgspec.Struct, frozen=True):
    """How far a query has been read: the largest value, and which rows have it."""

    kind: str
    value: str
    seen: set[str]

    def bound(self) -> Any:
        """The value as the database gave it."""
        return _VALUES[self.kind](self.value)


def ingest_sql(
    ws: Workspace, url: str, query: str, watermark: str | None = None, kind: Kind | None = None
) -> IngestReport:
    """Read a query into the inbox; call `flush` (or let the server do it) to move the last of it to the lake.

    Args:
        url: SQLAlchemy URL of the database.
        query: A SELECT; column names are the paths of [schema], and may hold dots.
        watermark: Column that only grows, such as a time of change; only rows from its last value on are read.
            Without it every run reads all rows again.
        kind: What the rows are; None: predictions, with the truth that lies in them.

    Raises:
        SourceError: The database cannot be read. Chunks before the fault stay, and the next run goes on after them.
        StateError: Another run reads this query.
        StorageError: What was read could not be moved to the lake, or the ledger was out of reach. The same holds.
    """
    engine = engine_of(url)
    where = place_of(engine.url)
    source = _source(where, query, watermark, kind)
    notes, mapper, now = Notes(), Mapper(ws.spec), ws.clock.now()
    accepted = labels = row_number = again = 0
    room_taken = 0.0
    try:
        with (
            _alone(ws, source, where) as lock,
            Rejects(ws.place("rejects") / f"sql-{source[-12:]}.rejects.ndjson") as rejects,
        ):
            mark = _mark(ws, source) if watermark else None
            with closing(
                _chunks(engine, where, query, watermark, mark, quote=mapper.scrubber is None)
            ) as chunks:
                for rows in chunks:
                    fresh, mark, skipped = _after(rows, watermark, mark, where, mapper.scrubber)
                    again += skipped
                    numbered = list(enumerate(fresh, start=row_number + 1))
                    row_number += len(fresh)
                    sealed, refused = seal_all(mapper, kind or "predictions", numbered, now, notes)
                    _still_alone(lock, ws)
                    with ws.ledger.write() as conn:
                        for name, records in sealed.items():
                            room_taken += ws.inbox.keep(conn, ws.name, name, pack(records), len(records), now)
                        if mark is not None:
                            watermarks.put(conn, ws.name, source, msgspec.to_builtins(mark), now)
                    rejects.add(refused)
                    accepted += len(fresh) - len(refused)
                    labels += len(sealed.get("labels", []))
                    if room_taken > 0.5:
                        flush(ws)
                        room_taken = 0.0
        unmarked = _unmarked(engine, where, query, watermark, quote=mapper.scrubber is None)
    finally:
        engine.dispose()
    if unmarked:
        notes[
            "{n} row(s) have no '" + str(watermark) + "' (NULL), which is the watermark: they were not taken."
        ] += unmarked
    if watermark is None:
        notes["Without a watermark every run reads all rows again."] += 1
    if again:
        notes["{n} row(s) with the last watermark were known already."] += again
    return IngestReport(
        source=where, accepted=accepted - notes[WITHOUT_CONSENT], refused=rejects.count, labels=labels, rejects=rejects.first,
        rejects_path=rejects.path, notes=notes.lines(),
    )  # fmt: skip


def read_query(
    url: str,
    query: str,
    spec: Spec,
    holdout_key: str,
    received_at: datetime,
    notes: Notes,
    kind: Kind | None = None,
) -> Iterator[Rows]:
    """A query's result as rows of the lake, chunk by chunk; nothing is kept, and refusals are numbered from 1.

    Raises:
        SourceError: The database cannot be read.
    """
    engine, bulk, done = engine_of(url), Bulk(spec, holdout_key), 0
    try:
        with closing(
            _chunks(engine, place_of(engine.url), query, None, None, quote=not spec.capture.asks)
        ) as chunks:
            for rows in chunks:
                numbered = list(enumerate(rows, start=done + 1))
                done += len(rows)
                yield bulk.rows_of(kind or "predictions", numbered, received_at, notes)
    finally:
        engine.dispose()


def _source(where: str, query: str, watermark: str | None, kind: str | None) -> str:
    """The name under which a query's watermark is kept: another query, column or kind starts anew."""
    text = "\n".join([" ".join(query.split()), watermark or "", kind or ""])
    return f"{where}#{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@contextmanager
def _alone(ws: Workspace, source: str, where: str) -> Iterator[Lock]:
    """One run of a query at a time: two would read the same rows, and the slower one would set the watermark back."""
    name = f"reading-{ws.name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    lock = take_if_free(ws.root, ws.ledger, name)
    if lock is None:
        raise StateError(
            "Another run reads this query just now.",
            where=where,
            hint="Nothing was read. Start it again when that one has ended: it goes on after the last row that was taken.",
        )
    with lock:
        yield lock


def _still_alone(lock: Lock, ws: Workspace) -> None:
    if not lock.still_held():
        raise StorageError(
            "The connection that kept other runs of this query away was lost.",
            where=ws.ledger.place,
            hint="Start it again: it goes on after the last row that was taken.",
        )


def _mark(ws: Workspace, source: str) -> Watermark | None:
    """How far the query has been read; None before the first time."""
    with ws.ledger.read() as conn:
        found = watermarks.get(conn, ws.name, source)
    return None if found is None else msgspec.convert(found, Watermark)


def _chunks(
    engine: sa.Engine, where: str, query: str, watermark: str | None, mark: Watermark | None, *, quote: bool
) -> Generator[list[dict[str, Any]], None, None]:
    parameters: dict[str, Any] = {}
    statement = _plain(query)
    if watermark is not None:
        column = engine.dialect.identifier_preparer.quote_identifier(watermark)
        newer = f"{column} IS NOT NULL"
        if mark is not None:
            newer = f"{column} >= :whorl_watermark"
            parameters["whorl_watermark"] = mark.bound()
        statement = f"SELECT * FROM ({statement}\n) AS source WHERE {newer} ORDER BY {column}"
    with _asked(engine, where, quote=quote) as conn:
        options = {"stream_results": True, "yield_per": CHUNK_ROWS}
        streaming = conn.execution_options(**options)
        with streaming.execute(sa.text(_escaped(statement)), parameters) as result:
            names = list(result.keys())
            if watermark is not None and watermark not in names:
                hint = did_you_mean(watermark, names)
                raise SourceError(f"The query has no column '{watermark}'.", where=where, hint=hint)
            # Without a size, partitions follow the driver's buffer, not yield_per.
            for part in result.mappings().partitions(CHUNK_ROWS):
                yield [dict(row) for row in part]


def _unmarked(engine: sa.Engine, where: str, query: str, watermark: str | None, *, quote: bool) -> int:
    """How many rows of the query have no watermark."""
    if watermark is None:
        return 0
    column = engine.dialect.identifier_preparer.quote_identifier(watermark)
    statement = f"SELECT count(*) FROM ({_plain(query)}\n) AS source WHERE {column} IS NULL"
    with _asked(engine, where, quote=quote) as conn:
        return int(conn.scalar(sa.text(_escaped(statement))) or 0)


@contextmanager
def _asked(engine: sa.Engine, where: str, *, quote: bool) -> Iterator[sa.Connection]:
    """A connection; what the database says against the query is ours to say."""
    try:
        with engine.connect() as conn:
            yield conn
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # A database may quote the value that it stumbled over.
        why = str(cause).strip() if quote else type(cause).__name__
        raise SourceError(
            f"The query failed: {why}.",
            where=where,
            hint="Try the query in the database's own client.",
        ) from error


def _plain(query: str) -> str:
    return query.strip().rstrip(";")


def _escaped(statement: str) -> str:
    """Colons in the user's SQL (casts, times) are not parameters; ours is."""
    return statement.replace(":", "\\:").replace("\\:whorl_watermark", ":whorl_watermark")


def _after(
    rows: list[dict[str, Any]], column: str | None, mark: Watermark | None, where: str, door: Scrubber | None
) -> tuple[list[dict[str, Any]], Watermark | None, int]:
    """The rows that were not read before, where the watermark stands after them, and how many were known."""
    if column is None:
        return rows, None, 0
    if door is not None and rows and door.scrubbed(last := {column: rows[-1][column]}) != last:
        raise SourceError(
            f"Column '{column}' cannot be a watermark: its last value is kept, and [capture] says that it may not be.",
            where=where,
            hint="Use a time or a number that only grows.",
        )
    fresh = []
    for row in rows:
        value = row[column]
        kind, text = _as_text(value, where, column)
        if mark is None or (kind, text) != (mark.kind, mark.value):
            mark = Watermark(kind, text, set())
        digest = _digest(row if door is None else door.scrubbed(row))
        if digest in mark.seen:
            continue
        mark.seen.add(digest)
        fresh.append(row)
    return fresh, mark, len(rows) - len(fresh)


def _as_text(value: Any, where: str, column: str) -> tuple[str, str]:
    if isinstance(value, datetime):
        return "datetime", (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return "date", value.isoformat()
    kind = {int: "int", float: "float", str: "str", Decimal: "decimal"}.get(type(value))
    if kind is None:
        raise SourceError(
            f"Column '{column}' cannot be a watermark: it holds {type(value).__name__}.",
            where=where,
            hint="Use a time or a number that only grows.",
        )
    return kind, str(value)


def _digest(row: dict[str, Any]) -> str:
    content = msgspec.json.encode({name: str(value) for name, value in row.items()}, order="sorted")
    return hashlib.blake2b(content, digest_size=9).hexdigest()
