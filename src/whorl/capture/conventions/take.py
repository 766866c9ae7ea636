"""Accept what an OTLP request holds: each flywheel's part through the one way in, and a count of what was not kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whorl.capture.accept import accept
from whorl.capture.conventions.logs import add_logs, is_genai, logs_of
from whorl.capture.conventions.telemetry import Declared, Telemetry
from whorl.capture.conventions.traces import add_span, spans_of
from whorl.capture.mapping import Kind, native_mapper
from whorl.errors import RecordError
from whorl.records import Accepted
from whorl.workspace import Workspace

# The workspace of a resource's flywheel; raises RecordError where it cannot be told.
Choose = Callable[[dict[str, Any]], Workspace]
_FOREIGN = "not a GenAI event; of log records only those are kept (set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT for the others)"


@dataclass
class Taken:
    """What became of a request: how many spans or log records it had, which were not kept, and why.

    `answers` are those of each kind of record, by flywheel.
    """

    items: int = 0
    rejected: set[int] = field(default_factory=set)
    reasons: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[str, Kind, Accepted]] = field(default_factory=list)

    def reject(self, places: Iterable[int], reason: str) -> None:
        """Not kept, for one reason; a place is counted once, whatever it would have become."""
        fresh = set(places) - self.rejected
        self.rejected |= fresh
        if fresh:
            self.reasons[reason] = self.reasons.get(reason, 0) + len(fresh)

    @property
    def message(self) -> str:
        """The reasons in one line, the most frequent first; the rest of many is only counted."""
        ordered = sorted(self.reasons.items(), key=lambda item: -item[1])
        told = [f"{count}: {reason}" for reason, count in ordered[:5]]
        return "; ".join([*told, *(["..."] if len(ordered) > 5 else [])])


def take_traces(request: ExportTraceServiceRequest, choose: Choose) -> Taken:
    """Accept spans; returns once what was accepted is on disk.

    Raises:
        RecordError: Nothing was accepted: it cannot be told of any of it which flywheel it is for.
        InboxFull: Send it again later: what came twice completes itself.
        StorageError: The ledger could not be written.
    """
    taken, batches = Taken(), _Batches(choose)
    for resource, spans in spans_of(request):
        places = range(taken.items, taken.items + len(spans))
        taken.items += len(spans)
        if (batch := batches.of(resource, places, taken)) is not None:
            into, declared = batch
            for place, span in zip(places, spans, strict=True):
                add_span(into, span, resource, declared, place)
    return batches.accept(taken)


def take_logs(request: ExportLogsServiceRequest, choose: Choose) -> Taken:
    """Accept log records, like `take_traces`."""
    taken, batches = Taken(), _Batches(choose)
    for resource, records in logs_of(request):
        numbered = list(enumerate(records, start=taken.items))
        taken.items += len(records)
        taken.reject((place for place, record in numbered if not is_genai(record)), _FOREIGN)
        ours = [(place, record) for place, record in numbered if is_genai(record)]
        if ours and (batch := batches.of(resource, (place for place, _ in ours), taken)) is not None:
            into, declared = batch
            add_logs(into, ours, resource, declared)
    return batches.accept(taken)


class _Batches:
    """The telemetry of each flywheel of a request."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._all: dict[str, tuple[Workspace, Telemetry, Declared]] = {}
        self._first_error: RecordError | None = None

    def of(
        self, resource: dict[str, Any], places: Iterable[int], taken: Taken
    ) -> tuple[Telemetry, Declared] | None:
        """That of a resource's flywheel; None, and its places rejected, where it cannot be told which that is."""
        try:
            ws = self._choose(resource)
        except RecordError as error:
            self._first_error = self._first_error or error
            taken.reject(places, str(error))
            return None
        if ws.name not in self._all:
            declared = Declared(ws.spec, ws.of_spec(native_mapper).scrubber)
            self._all[ws.name] = (ws, Telemetry(), declared)
        return self._all[ws.name][1:]

    def accept(self, taken: Taken) -> Taken:
        if self._first_error is not None and not self._all:
            raise self._first_error
        for ws, telemetry, _ in self._all.values():
            for kind, raws in telemetry.raws.items():
                answer = accept(ws, kind, raws, native=True)
                taken.answers.append((ws.name, kind, answer))
                for refusal in answer.refused:
                    reason = f"{refusal.message} {refusal.hint}".rstrip()
                    taken.reject(telemetry.places[kind][refusal.index], reason)
        return taken
