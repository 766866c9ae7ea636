"""Take a batch of raw records: map, check, and keep it durably. What is wrong is refused by itself, not the batch.

Accepted means committed to the inbox; `flush.py` moves it to the lake. The truth that lies in records of predictions is
kept as labels of their own.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from whorl.capture.mapping import Kind, Mapper, native_mapper
from whorl.capture.scrub.scrubber import WITHOUT_CONSENT
from whorl.capture.sealed import pack, seal
from whorl.capture.values import Notes, refusal_of
from whorl.errors import RecordError
from whorl.records import Accepted, Refusal
from whorl.storage.inbox_writes import Part
from whorl.workspace import Workspace

Sealed = dict[Kind, list[bytes]]


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
    notes = Notes()
    mapper = ws.of_spec(native_mapper if native else Mapper)
    sealed, refused = seal_all(mapper, kind, enumerate(raws), received_at, notes)
    if sealed:
        parts = [Part(name, pack(records), len(records)) for name, records in sealed.items()]
        ws.inbox.accept(ws.name, parts, received_at)
    without = notes[WITHOUT_CONSENT]
    accepted = len(raws) - len(refused) - without
    return Accepted(accepted=accepted, refused=refused, without_consent=without, notes=notes.lines())


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
