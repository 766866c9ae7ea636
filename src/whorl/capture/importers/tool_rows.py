"""Rows of another tool as native records by kind: what its mapper says, by what the spec and the user add to it.

What the user calls the truth becomes labels, what [schema] declares is found beside the call, and what may not be kept is left.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, get_args

from whorl.capture.conventions.telemetry import Declared
from whorl.capture.fields import Fields
from whorl.capture.importers import langfuse, mlflow_traces, nvidia, phoenix, tensorzero
from whorl.capture.importers.chunks import Chunk
from whorl.capture.importers.native import MapRow, Own, Raw
from whorl.capture.mapping import Kind
from whorl.capture.paths import ABSENT, Path
from whorl.capture.scrub.scrubber import scrubber_of
from whorl.capture.values import Notes, refusal, refusal_of
from whorl.errors import RecordError
from whorl.records import Refusal
from whorl.spec import Spec

Format = Literal["nvidia", "tensorzero", "mlflow", "langfuse", "phoenix"]
FORMATS: tuple[Format, ...] = get_args(Format)
_MAPPERS: dict[Format, MapRow] = {
    "nvidia": nvidia.records,
    "tensorzero": tensorzero.records,
    "mlflow": mlflow_traces.records,
    "langfuse": langfuse.records,
}
# Native records by kind, each with the number of the row that it was in.
Numbered = dict[Kind, list[tuple[int, Raw]]]
_HINT = "docs/import.md says what is read."
SEVERAL = (
    "{n} row(s) have several expectations, of which the last counts; --truth NAME says which is the truth."
)


class ToolRows:
    """Rows of one tool as native records by kind, each with the number of its row."""

    def __init__(self, spec: Spec, format: Format, truth: str | None, notes: Notes) -> None:
        self._format, self._truth, self._notes = format, truth, notes
        self._door = scrubber_of(spec)
        mappers: dict[Format, MapRow] = _MAPPERS | {
            "phoenix": partial(phoenix.records, Declared(spec, self._door))
        }
        own: Own = dict if self._door is None else self._door.of_tool
        self._map = partial(mappers[format], own)
        fields = Fields(spec)
        self._declared: dict[str, dict[str, tuple[Path, ...]]] = {
            "features": fields.features,
            "keys": {name: (path,) for name, path in fields.keys.items()},
            "protected": {name: (path,) for name, path in fields.protected.items()},
        }

    def records(self, chunk: Chunk) -> tuple[Numbered, list[Refusal]]:
        found: Numbered = {}
        refused = list(chunk.refused)
        for number, row in zip(chunk.numbers, chunk.records, strict=True):
            try:
                native = self._map(row) if isinstance(row, dict) else None
            except RecordError as error:
                refused.append(refusal_of(error, number))
                continue
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                refused.append(self._misshapen(number))
                continue
            if native is None:
                refused.append(self._unknown(number, row))
                continue
            if native.passed_over:
                self._notes[native.passed_over] += 1
            for kind, record in self._kept(native.records):
                found.setdefault(kind, []).append((number, record))
        return found, refused

    def _kept(self, records: list[tuple[Kind, Raw]]) -> list[tuple[Kind, Raw]]:
        """What may be kept: where a call has no consent, nothing that was said or done in its row is taken either."""
        kept = [(kind, self._placed(kind, record)) for kind, record in self._with_truth(records)]
        if self._door is None:
            return kept
        calls = [one for one in kept if one[0] == "predictions"]
        return kept if all(self._door.may_keep(record) for _, record in calls) else calls

    def _with_truth(self, records: list[tuple[Kind, Raw]]) -> Iterator[tuple[Kind, Raw]]:
        """What the user calls the truth becomes labels, and other expectations signals."""
        names = {
            record["extra"].get("name") for kind, record in records if kind == "labels" and "extra" in record
        }
        if self._truth is None and len(names) > 1:
            self._notes[SEVERAL] += 1
        for kind, record in records:
            if self._truth is not None and kind == "feedback" and record.get("name") == self._truth:
                yield ("labels", _as_label(record)) if "prediction_id" in record else (kind, record)
            elif self._truth is not None and kind == "labels" and _name(record) not in (None, self._truth):
                yield "feedback", _as_feedback(record)
            else:
                yield kind, record

    def _placed(self, kind: Kind, record: Raw) -> Raw:
        """What the tool knows beside the call is a feature, key or attribute where [schema] says so."""
        beside = record.get("extra")
        if kind != "predictions" or not beside:
            return record
        for holder, declared in self._declared.items():
            there = {
                name: found
                for name, paths in declared.items()
                if (found := _first(paths, beside)) is not None
            }
            record = {**record, holder: record.get(holder, {}) | there} if there else record
        return record

    def _unknown(self, number: int, row: Any) -> Refusal:
        keys = type(row).__name__
        if isinstance(row, dict):
            keys = ", ".join(list(row if self._door is None else self._door.scrubbed(row))[:8])
        message = f"this is no row of {self._format} that is known here; it has: {keys}."
        return refusal_of(refusal("unknown", message, hint=_HINT), number)

    def _misshapen(self, number: int) -> Refusal:
        message = f"it has the fields of a row of {self._format}, but not their shape."
        return Refusal(index=number, code="shape", message=message, hint=_HINT)


def _first(paths: tuple[Path, ...], beside: Raw) -> Any:
    return next((value for path in paths if (value := path.get(beside)) is not ABSENT), None)


def _name(record: Raw) -> str | None:
    name: str | None = (record.get("extra") or {}).get("name")
    return name


def _as_label(feedback: Raw) -> Raw:
    fields = ("id", "prediction_id", "time", "source", "value")
    extra = {name: feedback[name] for name in ("name", "kind", "comment") if name in feedback}
    return {name: feedback[name] for name in fields if name in feedback} | {
        "extra": {**(feedback.get("extra") or {}), **extra}
    }


def _as_feedback(label: Raw) -> Raw:
    extra = dict(label["extra"])
    lifted = {name: extra.pop(name) for name in ("name", "kind", "comment") if name in extra}
    return {**label, **lifted, "extra": extra}
