"""Accept what an OTLP request holds: each flywheel's part through the one way in, and a count of what was not kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whorl.capture.accept import take
from whorl.capture.batch_names import name_of
from whorl.capture.conventions.logs import add_logs, is_genai, logs_of
from whorl.capture.conventions.telemetry import Declared, Telemetry
from whorl.capture.conventions.traces import add_span, spans_of
from whorl.capture.mapping import Kind, native_mapper
from whorl.errors import RecordError
from whorl.records import Accepted
from whorl.storage.inbox_writes import Named
from whorl.workspace import Workspace

# The workspace of a resource's flywheel; raises RecordError where it cannot be told.
Choose = Callable[[dict[str, Any]], Workspace]
# Beside the names that other batches give themselves.
_NAMED = "otlp"
_NO_CONSENT = "there was no consent"
_FOREIGN = "not a GenAI event; of log records only those are kept (set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT for the others)"


class Answer(NamedTuple):
    """What became of one kind of records of a flywheel; `repeated`: they had come before, in the same request."""

    flywheel: str
    kind: Kind
    answer: Accepted
    repeated: bool


@dataclass
class Handled:
    """What became of a request: how many spans or log records it had, which were not kept, and why."""

    items: int = 0
    rejected: set[int] = field(default_factory=set)
    without_consent: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    @property
    def not_kept(self) -> int:
        """How many of its spans or log records; those without consent are known by their number only."""
        return min(self.items, len(self.rejected) + self.without_consent)

    def reject(self, places: Iterable[int], reason: str) -> None:
        """Not kept, for one reason; a place is counted once, whatever it would have become."""
        fresh = set(places) - self.rejected
        self.rejected |= fresh
        if fresh:
            self.reasons[reason] = self.reasons.get(reason, 0) + len(fresh)

    def withhold(self, count: int) -> None:
        """Not kept for lack of consent."""
        if count:
            self.without_consent += count
            self.reasons[_NO_CONSENT] = self.reasons.get(_NO_CONSENT, 0) + count

    @property
    def message(self) -> str:
        """The reasons in one line, the most frequent first; the rest of many is only counted."""
        ordered = sorted(self.reasons.items(), key=lambda item: -item[1])
        told = [f"{count}: {reason}" for reason, count in ordered[:5]]
        return "; ".join([*told, *(["..."] if len(ordered) > 5 else [])])


def take_traces(request: ExportTraceServiceRequest, choose: Choose) -> Handled:
    """Accept spans; returns once what was accepted is on disk. A request that is sent again adds nothing.

    Raises:
        RecordError: Nothing was accepted: it cannot be told of any of it which flywheel it is for.
        InboxFull: Send it again later.
        StorageError: The ledger could not be written.
    """
    handled, batches = Handled(), _Batches(choose)
    for resource, spans in spans_of(request):
        places = range(handled.items, handled.items + len(spans))
        handled.items += len(spans)
        if (batch := batches.of(resource, places, handled)) is not None:
            into, declared = batch
            for place, span in zip(places, spans, strict=True):
                add_span(into, span, resource, declared, place)
    return batches.accept(handled)


def take_logs(request: ExportLogsServiceRequest, choose: Choose) -> Handled:
    """Accept log records, like `take_traces`."""
    handled, batches = Handled(), _Batches(choose)
    for resource, records in logs_of(request):
        numbered = list(enumerate(records, start=handled.items))
        handled.items += len(records)
        handled.reject((place for place, record in numbered if not is_genai(record)), _FOREIGN)
        ours = [(place, record) for place, record in numbered if is_genai(record)]
        if ours and (batch := batches.of(resource, (place for place, _ in ours), handled)) is not None:
            into, declared = batch
            add_logs(into, ours, resource, declared)
    return batches.accept(handled)


class _Batches:
    """The telemetry of each flywheel of a request."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._all: dict[str, tuple[Workspace, Telemetry, Declared]] = {}
        self._first_error: RecordError | None = None

    def of(
        self, resource: dict[str, Any], places: Iterable[int], handled: Handled
    ) -> tuple[Telemetry, Declared] | None:
        """That of a resource's flywheel; None, and its places rejected, where it cannot be told which that is."""
        try:
            ws = self._choose(resource)
        except RecordError as error:
            self._first_error = self._first_error or error
            handled.reject(places, str(error))
            return None
        if ws.name not in self._all:
            declared = Declared(ws.spec, ws.of_spec(native_mapper).scrubber)
            self._all[ws.name] = (ws, Telemetry(), declared)
        return self._all[ws.name][1:]

    def accept(self, handled: Handled) -> Handled:
        if self._first_error is not None and not self._all:
            raise self._first_error
        for ws, telemetry, _ in self._all.values():
            received_at = ws.clock.now()
            batches = {
                kind: take(ws, kind, list(enumerate(raws)), received_at, native=True)
                for kind, raws in telemetry.raws.items()
            }
            parts = [part for batch in batches.values() for part in batch.parts]
            name = name_of(parts)
            # All that a request holds for a flywheel is one commit.
            named = Named(_NAMED, name, name, "")
            before = ws.inbox.accept(ws.name, parts, received_at, named) if parts else None
            for kind, batch in batches.items():
                handled.answers.append(Answer(ws.name, kind, batch.answer, before is not None))
                for refusal in batch.answer.refused:
                    reason = f"{refusal.message} {refusal.hint}".rstrip()
                    handled.reject(telemetry.places[kind][refusal.index], reason)
            handled.withhold(max((batch.answer.without_consent for batch in batches.values()), default=0))
        return handled
