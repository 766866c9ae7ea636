"""What a request brings, part by part: cut, mapped, and named so that a retry is answered instead of kept again.

The handler in `capture.py` feeds what has come, and keeps what is handed out. Only a key is looked up here, in the ledger.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from whorl.api.arrow_parts import ArrowParts
from whorl.api.body import ARROW, JSON, NDJSON, Batch, media_type
from whorl.api.failures import BodyError
from whorl.api.parts import Document, Lines, Part, Parts, Table
from whorl.api.unpacked import Unpacked
from whorl.capture.accept import Taken, take, take_table
from whorl.capture.batch_names import BatchNames
from whorl.capture.mapping import Kind
from whorl.errors import StateError
from whorl.records import Accepted
from whorl.storage.inbox_writes import Named
from whorl.storage.inbox_writes import Part as Payload
from whorl.workspace import Workspace

MAX_KEY = 255
# An answer lists so many refusals; the others are counted.
MAX_LISTED = 10_000
_CUTS: dict[str, type[Document] | type[Lines] | type[ArrowParts]] = {
    JSON: Document, NDJSON: Lines, ARROW: ArrowParts
}  # fmt: skip


class Step(NamedTuple):
    """A part as mapped, or, when it was kept before, only its answer.

    Attributes:
        payloads: What is to be kept; empty when nothing is.
        named: The name under which it is kept.
    """

    payloads: list[Payload]
    answer: Accepted
    received_at: datetime
    named: Named | None = None
    repeated: bool = False


class Intake:
    """One request's records.

    Raises:
        BodyError: The media type, encoding or key is none that can be taken.
    """

    def __init__(
        self, ws: Workspace, kind: Kind, headers: Mapping[str, str], *, native: bool = False
    ) -> None:
        self._ws, self._kind, self._native = ws, kind, native
        self._unpacked = Unpacked(headers.get("content-encoding", ""))
        cut = _CUTS[media_type(headers.get("content-type", ""), tuple(_CUTS))]
        self._parts: Parts = cut(self._unpacked)
        self._key = headers.get("idempotency-key")
        if self._key is not None and not (0 < len(self._key) <= MAX_KEY and self._key.isprintable()):
            raise BodyError(
                400, f"The key is empty, longer than {MAX_KEY} characters, or not printable.",
                where="Idempotency-Key", hint="A UUID is a good one.",
            )  # fmt: skip
        self._number = 0

    @property
    def at_once(self) -> bool:
        """`next` waits for nothing, and the body is as long in memory as it was sent."""
        return self._unpacked.plain and self._key is None

    @property
    def kept(self) -> int:
        """Bytes of the body that are in memory, and in no part yet."""
        return self._unpacked.kept + self._parts.kept

    @property
    def ended(self) -> bool:
        """There is no further part."""
        return self._parts.ended

    def feed(self, data: bytes, *, last: bool) -> None:
        """What has come of the body."""
        self._unpacked.feed(data, last=last)

    def next(self) -> Step | None:
        """The next part; None when more must come first, or nothing will.

        Raises:
            BodyError: The body cannot be read any further.
            StateError: The key was used for another body.
        """
        part = self._parts.next()
        if part is None:
            return None
        received_at = self._ws.clock.now()
        if self._key is None:
            return Step(*self._taken(part, received_at), received_at)
        # Parts of one body have a name each, so that one that was cut goes on where it stopped.
        key = self._key if self._number == 0 else f"{self._key}\n{self._number}"
        name, digest = self._ws.of_spec(BatchNames).of(key, part.content)
        self._number += 1
        known = self._ws.inbox.answer_to(self._ws.name, self._kind, name)
        if known is not None:
            return Step([], answered_before(known, digest), received_at, repeated=True)
        payloads, answer = self._taken(part, received_at)
        named = Named(self._kind, name, digest, msgspec.to_builtins(answer))
        return Step(payloads, answer, received_at, named)

    def _taken(self, part: Part, received_at: datetime) -> Taken:
        payloads, answer = list[Payload](), Accepted(accepted=0)
        for batch in part.batches:
            taken = self._one(batch, received_at)
            payloads += taken.parts
            answer = together(answer, taken.answer)
        return Taken(payloads, answer)

    def _one(self, batch: Batch | Table, received_at: datetime) -> Taken:
        ws, kind, native = self._ws, self._kind, self._native
        if isinstance(batch, Table):
            numbers = range(batch.first, batch.first + batch.rows.num_rows)
            return take_table(ws, kind, batch.rows, received_at, numbers, native=native)
        taken = take(ws, kind, batch.numbered, received_at, native=native)
        if not batch.refused:
            return taken
        unread = Accepted(accepted=0, refused=batch.refused)
        return taken._replace(answer=together(unread, taken.answer))


def answered_before(known: Named, digest: str) -> Accepted:
    """The answer that was given to the batch of this name. Raises StateError when that was another batch."""
    if known.digest != digest:
        raise StateError(
            "This key was used for another body.",
            where="Idempotency-Key",
            hint="A key names one body: repeat that one, or use a new key.",
        )
    return msgspec.convert(known.answer, Accepted)


def together(one: Accepted, other: Accepted) -> Accepted:
    """One answer of two, as the places in the request go."""
    if not (one.accepted or one.refused or one.without_consent or one.notes):
        return msgspec.structs.replace(
            other, refused=sorted(other.refused, key=lambda r: r.index)[:MAX_LISTED]
        )
    refused = sorted([*one.refused, *other.refused], key=lambda r: r.index)
    notes = [*one.notes, *(note for note in other.notes if note not in one.notes)]
    if len(refused) > MAX_LISTED:
        notes = [*(note for note in notes if note != _MORE), _MORE]
    return Accepted(
        accepted=one.accepted + other.accepted,
        refused=refused[:MAX_LISTED],
        without_consent=one.without_consent + other.without_consent,
        notes=notes[:MAX_LISTED],
    )


_MORE = f"More than {MAX_LISTED:,} records were refused; only the first are listed."
