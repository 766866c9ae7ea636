"""What a cycle has done already, so that it goes on after a crash at the step it was in.

A step's result is recorded as JSON when the step is done; asked for again, it is read and the step does not run.
A step that was cut short runs again from its start: steps must bear that.
"""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from whorl.errors import StorageError
from whorl.records import Record
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import steps
from whorl.storage.ledger.upsert import insert_or_keep

T = TypeVar("T")


class Step(Record, frozen=True, kw_only=True):
    """One finished step of a cycle, `position` from 1; `result` is plain JSON data."""

    position: int
    name: str
    result: Any
    seconds: float
    finished_at: datetime


class Journal:
    """The finished steps of every cycle of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def step(self, cycle_id: str, name: str, fn: Callable[[], T], kind: type[T]) -> T:
        """The result of a step: recorded earlier, or from running `fn` now. One that raises records nothing.

        The result is always the one read back from JSON, so that a resumed cycle sees what an undisturbed one saw.

        Args:
            name: Unique within the cycle.
            kind: A Struct or a builtin type that msgspec can read from JSON.

        Raises:
            StorageError: The result does not survive JSON (a nan does not), or was recorded in a form that this
                version cannot read.
        """
        recorded = sa.select(steps.c.result).where(steps.c.cycle_id == cycle_id, steps.c.name == name)
        with self._ledger.read() as conn:
            earlier = conn.execute(recorded).one_or_none()
        if earlier is not None:
            return _read(earlier.result, kind, cycle_id, name)
        started = perf_counter()
        result = fn()
        seconds = perf_counter() - started
        plain = _plain(result, cycle_id, name)
        _read(plain, kind, cycle_id, name)
        with self._ledger.write() as conn:
            position = sa.select(sa.func.count() + 1).where(steps.c.cycle_id == cycle_id)
            row = {
                "cycle_id": cycle_id, "name": name, "position": conn.execute(position).scalar_one(),
                "result": plain, "seconds": seconds, "finished_at": self._ledger.clock.now(),
            }  # fmt: skip
            insert_or_keep(conn, steps, row)
            # Whoever recorded first is right, should two ever run one step.
            kept = conn.execute(recorded).scalar_one()
        return _read(kept, kind, cycle_id, name)

    def done(self, cycle_id: str) -> list[Step]:
        """The cycle's finished steps, in the order in which they finished."""
        wanted = [steps.c[field] for field in Step.__struct_fields__]
        with self._ledger.read() as conn:
            rows = conn.execute(
                sa.select(*wanted).where(steps.c.cycle_id == cycle_id).order_by(steps.c.position)
            )
            return [Step(**row._mapping) for row in rows]

    def forget(self, cycle_id: str) -> None:
        """Drop the cycle's steps: it starts from the beginning when it is run again."""
        with self._ledger.write() as conn:
            conn.execute(steps.delete().where(steps.c.cycle_id == cycle_id))


def _plain(result: Any, cycle_id: str, name: str) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(result))
    except TypeError as error:
        raise StorageError(
            f"Step {name!r} gave a {type(result).__name__} that is not JSON: {error}.",
            where=f"cycle {cycle_id}",
            hint="Return a Struct of `records.py`, or plain JSON data.",
        ) from error


def _read(plain: Any, kind: type[T], cycle_id: str, name: str) -> T:
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise StorageError(
            f"The result of step {name!r} cannot be read as {getattr(kind, '__name__', kind)}: {error}.",
            where=f"cycle {cycle_id}",
            hint="Cancel the cycle and start a new one.",
        ) from error
