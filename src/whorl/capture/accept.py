"""Take a batch of raw records: map, check, and keep it durably. What is wrong is refused by itself, not the batch.

Accepted means committed to the inbox; `flush.py` moves it to the lake. The truth that lies in records of predictions is
kept as labels of their own. Few records are mapped one by one, many as columns: the answers are the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from whorl.capture.bulk import COLUMNAR, MANY, Rows, WaitingBulk, native_bulk
from whorl.capture.columns import conflicts, row_maker
from whorl.capture.mapping import Kind, Mapper, native_mapper
from whorl.capture.scrub.scrubber import WITHOUT_CONSENT
from whorl.capture.sealed import TYPES, has_doubles, pack, pack_rows, seal, unpack
from whorl.capture.values import Notes, refusal_of
from whorl.errors import RecordError
from whorl.records import Accepted, Refusal
from whorl.storage.inbox_writes import Part
from whorl.workspace import Workspace

CONFLICTS = "{n} record(s) have the id of another one of the batch and say something else: the first value of each field stays."
Sealed = dict[Kind, list[bytes]]


class Taken(NamedTuple):
    """A batch that was mapped and is to be kept, and the answer that is true once it is."""

    parts: list[Part]
    answer: Accepted


def accept(
    ws: Workspace,
    kind: Kind,
    raws: Sequence[Any],
    received_at: datetime | None = None,
    *,
    native: bool = False,
) -> Accepted:
    """Accept a batch; returns once what was accepted is on disk.

    Args:
        kind: What the records are; those of predictions may bring their truth along.
        raws: Decoded JSON objects.
        received_at: Default is the clock's now.
        native: The records have the field names of `records.py`, whatever [schema] says.

    Returns:
        How many were accepted, which were refused and why, and what is worth knowing about the others.

    Raises:
        InboxFull: Nothing more is taken. Send the batch again later: what came twice completes itself.
        StorageError: The ledger could not be written.
    """
    received_at = received_at or ws.clock.now()
    taken = take(ws, kind, list(enumerate(raws)), received_at, native=native)
    if taken.parts:
        ws.inbox.accept(ws.name, taken.parts, received_at)
    return taken.answer


def take(
    ws: Workspace,
    kind: Kind,
    numbered: Sequence[tuple[int, Any]],
    received_at: datetime,
    *,
    native: bool = False,
) -> Taken:
    """Map a batch of decoded JSON objects, each with its number; nothing is kept yet."""
    notes = Notes()
    if len(numbered) >= MANY and kind in COLUMNAR:
        bulk = ws.of_spec(native_bulk if native else WaitingBulk)
        return _of_rows(bulk.rows_of(kind, numbered, received_at, notes), notes)
    mapper = ws.of_spec(native_mapper if native else Mapper)
    sealed, refused = seal_all(mapper, kind, numbered, received_at, notes)
    parts = []
    for name, records in sealed.items():
        payload = pack(records)
        if len(records) > 1 and has_doubles(payload):
            _note_conflicts(row_maker(name)(unpack(payload, TYPES[name]), ws.spec), notes)
        parts.append(Part(name, payload, len(records)))
    without = notes[WITHOUT_CONSENT]
    return _taken(parts, len(numbered) - len(refused) - without, refused, notes)


def take_table(
    ws: Workspace,
    kind: Kind,
    table: pa.Table,
    received_at: datetime,
    numbers: Sequence[int],
    *,
    native: bool = False,
) -> Taken:
    """The same for an Arrow table, a record a row."""
    notes = Notes()
    bulk = ws.of_spec(native_bulk if native else WaitingBulk)
    return _of_rows(bulk.rows(kind, table, received_at, notes, numbers), notes)


def _of_rows(rows: Rows, notes: Notes) -> Taken:
    for table in rows.tables.values():
        _note_conflicts(table, notes)
    parts = [Part(name, pack_rows(table), table.num_rows) for name, table in rows.tables.items()]
    return _taken(parts, rows.accepted, rows.refused, notes)


def _taken(parts: list[Part], accepted: int, refused: list[Refusal], notes: Notes) -> Taken:
    without = notes[WITHOUT_CONSENT]
    answer = Accepted(accepted=accepted, refused=refused, without_consent=without, notes=notes.lines())
    return Taken(parts, answer)


def _note_conflicts(waiting: pa.Table, notes: Notes) -> None:
    if found := conflicts(waiting):
        notes[CONFLICTS] += found


def seal_all(
    mapper: Mapper, kind: Kind, numbered: Iterable[tuple[int, Any]], received_at: datetime, notes: Notes
) -> tuple[Sealed, list[Refusal]]:
    """Map and seal records; only kinds that have any are in the result."""
    sealed: Sealed = {}
    refused: list[Refusal] = []
    for index, raw in numbered:
        try:
            mapped = mapper.map(kind, raw, received_at, notes)
            parts = {name: seal(record) for name, record in mapped.by_kind().items()}
        except RecordError as error:
            refused.append(refusal_of(error, index))
            continue
        for name, part in parts.items():
            sealed.setdefault(name, []).append(part)
    return sealed, refused
