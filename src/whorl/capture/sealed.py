"""What was captured as bytes, on its way through the inbox: records one by one in MessagePack, or many as Arrow columns.

A payload holds one kind, of one batch. Which of the two it is shows in its first byte.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from whorl.capture.columns import Split, epoch_us, misfit, received_rows, repeated, row_maker, waiting_schema
from whorl.capture.mapping import Kind
from whorl.capture.predictions import INPUTS
from whorl.capture.values import MAX_RECORD_BYTES, refusal
from whorl.errors import RecordError
from whorl.records import Feedback, Label, Prediction, Span
from whorl.spec import Spec
from whorl.storage.tables import FEATURE, TIME, lake_schemas

Captured = Prediction | Label | Feedback | Span
C = TypeVar("C", Prediction, Label, Feedback, Span)

_encoder = msgspec.msgpack.Encoder(enc_hook=str)
TYPES: dict[Kind, Any] = {"predictions": Prediction, "labels": Label, "feedback": Feedback, "spans": Span}
# What every Arrow stream begins with; a MessagePack array never does.
_ARROW = b"\xff"
# How many bytes of its length follow the first byte of a MessagePack array; a short one has it in that byte.
_LONG_ARRAYS = {0xDC: 2, 0xDD: 4}
# Payloads of records one by one that are read at a time: the interpreter's lock is held for a millisecond or two.
_TOGETHER = 200
# Smaller ones are compressed more slowly than they are written.
_WORTH_COMPRESSING = 64 << 10
_COMPRESSED = pyarrow.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ = pyarrow.ipc.IpcReadOptions(use_threads=False)
_PLAIN = pyarrow.ipc.IpcWriteOptions(use_threads=False)


Ints = npt.NDArray[np.int64]


class _Known(msgspec.Struct):
    """What a record is called, of all that it says."""

    id: str | None = None


class Received(NamedTuple):
    """Rows of the lake, and how many that had come twice, in all that they say, were left out."""

    rows: pa.Table
    doubles: int


def seal(record: Captured) -> bytes:
    """One record as bytes.

    Raises:
        RecordError: Something in it has no bytes, or it is larger than 16 MB.
    """
    sealed = as_bytes(record)
    if len(sealed) > MAX_RECORD_BYTES:
        raise too_large(len(sealed))
    return sealed


def as_bytes(value: Any) -> bytes:
    """The value as bytes.

    Raises:
        RecordError: Something in it has none: text that is not Unicode, a whole number of more than 64 bits.
    """
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError) as error:
        raise refusal("encoding", f"it cannot be kept as it is ({error}).") from None


def too_large(size: int) -> RecordError:
    """The refusal of a record of `size` bytes, or at least that."""
    hint = "Keep large content elsewhere, and log its URI in `content`."
    return refusal("size", f"it has {size:,} bytes; at most {MAX_RECORD_BYTES:,} are accepted.", hint=hint)


def pack(sealed: Iterable[bytes]) -> bytes:
    """Sealed records as one payload."""
    return _encoder.encode([msgspec.Raw(one) for one in sealed])


def pack_rows(waiting: pa.Table) -> bytes:
    """Rows that wait to be received as one payload."""
    sink = pa.BufferOutputStream()
    options = _COMPRESSED if waiting.nbytes > _WORTH_COMPRESSING else _PLAIN
    with pa.ipc.new_stream(sink, waiting.schema, options=options) as writer:
        writer.write_table(waiting)
    payload: bytes = sink.getvalue().to_pybytes()
    return payload


def unpack(payload: bytes, kind: type[C]) -> list[C]:
    """The records of a payload that holds them one by one.

    >>> from datetime import datetime
    >>> label = Label(value=True, time=datetime.fromisoformat("2026-01-01T00:00Z"), prediction_id="1")
    >>> unpack(pack([seal(label)]), Label) == [label]
    True
    """
    return msgspec.msgpack.decode(payload, type=list[kind])  # type: ignore[valid-type]


def has_doubles(payload: bytes) -> bool:
    """Whether two of the records of such a payload have the same id."""
    ids = [one.id for one in msgspec.msgpack.decode(payload, type=list[_Known]) if one.id is not None]
    return len(set(ids)) < len(ids)


def rows_of(
    kind: Kind, payloads: Sequence[tuple[datetime, bytes]], now: datetime, spec: Spec, split: Split
) -> Received:
    """Payloads, each with the time at which it was accepted, as rows of the lake, received now.

    Records whose time was that of their acceptance, because they brought none, keep saying so: theirs is that of their
    receipt.

    Raises:
        SchemaMismatch: They were captured by another spec, and do not fit this one.
    """
    schema, parts, accepted = waiting_schema(spec, kind), list[pa.Table](), list[tuple[int, int]]()
    packed, single_times = list[bytes](), list[tuple[int, int]]()
    for at, payload in payloads:
        if payload[:1] == _ARROW:
            table = pyarrow.ipc.open_stream(payload, options=_READ).read_all()
            # What has rotten on the disk would end the process when it is looked at.
            table.validate()
            part = _fitted(table, schema)
            parts.append(part)
            accepted.append((epoch_us(at), part.num_rows))
        else:
            packed.append(payload)
            single_times.append((epoch_us(at), _length(payload)[0]))
    for first in range(0, len(packed), _TOGETHER):
        joined = _joined(packed[first : first + _TOGETHER])
        parts.append(row_maker(kind)(unpack(joined, TYPES[kind]), spec))
    if not parts:
        parts.append(row_maker(kind)([], spec))
    waiting = pa.concat_tables(parts).combine_chunks()
    times, counts = np.array([*accepted, *single_times], dtype=np.int64).reshape(-1, 2).T
    accepted_us = np.repeat(times, counts)
    received_us = np.maximum(accepted_us, pa.scalar(now, TIME).value)
    if kind == "predictions":
        waiting = _timed(waiting, accepted_us, received_us)
    kept = _once(waiting)
    if kept is not None:
        waiting, received_us = waiting.filter(pa.array(kept)), received_us[kept]
    rows = received_rows(waiting, lake_schemas(spec)[kind], pa.array(received_us).cast(TIME), split)
    return Received(rows, len(accepted_us) - len(received_us))


def _joined(payloads: Sequence[bytes]) -> bytes:
    """The records of payloads that hold them one by one, as one payload: read together they cost a third."""
    if len(payloads) == 1:
        return payloads[0]
    lengths = [_length(payload) for payload in payloads]
    head = b"\xdd" + sum(records for records, _ in lengths).to_bytes(4, "big")
    bodies = (payload[begins:] for payload, (_, begins) in zip(payloads, lengths, strict=True))
    return head + b"".join(bodies)


def _length(payload: bytes) -> tuple[int, int]:
    """How many elements a MessagePack array has, and where the first one begins."""
    first = payload[0]
    if first in _LONG_ARRAYS:
        begins = 1 + _LONG_ARRAYS[first]
        return int.from_bytes(payload[1:begins], "big"), begins
    return first & 0x0F, 1


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of another version of the spec in the columns of this one."""
    if table.schema.equals(schema):
        return table
    columns = []
    for field in schema:
        place = table.schema.get_field_index(field.name)
        column = pa.nulls(table.num_rows, field.type) if place < 0 else table.column(place)
        if column.null_count == table.num_rows:
            column = pa.nulls(table.num_rows, field.type)
        elif column.type != field.type:
            if not pa.types.is_primitive(column.type) or not pa.types.is_floating(field.type):
                raise misfit(field, f"they are {column.type}")
            column = column.cast(field.type)
        columns.append(column)
    return pa.table(columns, schema=schema)


def _timed(waiting: pa.Table, accepted_us: Ints, received_us: Ints) -> pa.Table:
    """Answers that came without a time, with that of their receipt. What holds inputs has said its time itself."""
    place = waiting.schema.get_field_index("time")
    time_us = waiting.column(place).cast(pa.int64()).to_numpy()
    arrived = time_us == accepted_us
    for name in waiting.column_names if arrived.any() else ():
        if name in INPUTS or name.startswith(FEATURE):
            arrived &= waiting.column(name).is_null().to_numpy()
    if not arrived.any():
        return waiting
    times = pa.array(np.where(arrived, received_us, time_us)).cast(TIME)
    return waiting.set_column(place, waiting.schema.field(place), times)


def _once(waiting: pa.Table) -> npt.NDArray[np.bool_] | None:
    """False for rows that say in every column what an earlier one of the same id says; None when there are none."""
    places = repeated(waiting)
    if not len(places):
        return None
    codes = np.zeros(len(places), dtype=np.int64)
    for column in waiting.take(pa.array(places)).columns:
        codes = _told_apart(codes, column.combine_chunks())
    _, first = np.unique(codes, return_index=True)
    kept = np.ones(waiting.num_rows, dtype=bool)
    kept[places] = False
    kept[places[first]] = True
    return kept


def _told_apart(codes: Ints, column: pa.Array) -> Ints:
    """Codes of rows, equal where they were equal and the column is too."""
    if pa.types.is_nested(column.type):
        column = pa.array([repr(value) for value in column.to_pylist()])
    values = column.dictionary_encode(null_encoding="encode")
    if len(values.dictionary) == 1:
        return codes
    joined = codes * len(values.dictionary) + values.indices.to_numpy()
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)
