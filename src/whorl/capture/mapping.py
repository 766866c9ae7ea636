"""One raw record in, words out: a Prediction, a Label, both, a Feedback or a Span; or a RecordError that says what is wrong.

What is not mapped goes to `extra`, except what lies beside the label: that would tell the answer.

Arrival stands in for a missing time. A record with inputs (features, messages, items) must say when; one that only brings
an answer completes an earlier one, and carries `time == received_at` exactly. The join reads that as "time unknown"
whenever another record of the same id knows better, so completing never moves a prediction in time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from whorl.capture.feedback import Feedbacks
from whorl.capture.fields import Fields
from whorl.capture.labels import Labels
from whorl.capture.predictions import Predictions
from whorl.capture.scrub.scrubber import WITHOUT_CONSENT, scrubber_of
from whorl.capture.spans import read_span
from whorl.capture.values import Notes, refusal, refusal_of, shown
from whorl.errors import RecordError
from whorl.records import Feedback, Label, Prediction, Refusal, Span
from whorl.spec import Spec

Kind = Literal["predictions", "labels", "feedback", "spans"]


class Mapped(NamedTuple):
    """What one raw record holds."""

    prediction: Prediction | None = None
    label: Label | None = None
    feedback: Feedback | None = None
    span: Span | None = None

    def by_kind(self) -> dict[Kind, Prediction | Label | Feedback | Span]:
        """Those that are there."""
        parts: dict[Kind, Prediction | Label | Feedback | Span | None] = {
            "predictions": self.prediction, "labels": self.label, "feedback": self.feedback, "spans": self.span
        }  # fmt: skip
        return {kind: part for kind, part in parts.items() if part is not None}


class Mapper:
    """Maps raw records by one spec; safe to share between threads.

    Args:
        native: The records have the field names of `records.py` instead of those of [schema].

    >>> from whorl.spec import parse_spec
    >>> spec = parse_spec('name = "f"\\ntask = "binary"\\n[schema.features]\\namount = "float"')
    >>> raw = {"id": "txn_1", "time": "2023-10-27T10:30:00Z", "amount": 150.75, "label": True}
    >>> mapped = Mapper(spec).map("predictions", raw, datetime.fromisoformat("2023-11-01T00:00Z"), Notes())
    >>> mapped.prediction.features, mapped.label.value
    ({'amount': 150.75}, True)
    """

    def __init__(self, spec: Spec, *, native: bool = False) -> None:
        self._native = native
        self.scrubber = scrubber_of(spec)
        self.fields = Fields(spec, native=native)
        self._predictions = Predictions(spec, self.fields, native=native)
        self._labels = Labels(spec, self.fields)
        self._feedback = Feedbacks(self.fields)

    def map(self, kind: Kind, raw: Any, received_at: datetime, notes: Notes) -> Mapped:
        """Scrub and map one record of a batch of `kind`; spans have the field names of Span.

        Without consent there is nothing in the result; WITHOUT_CONSENT counts it in the notes.

        Raises:
            RecordError: With `facts["reason"]` as a short code.
        """
        if self.scrubber is not None:
            raw = self.scrubber.record(raw, kind)
            if raw is None:
                notes[WITHOUT_CONSENT] += 1
                return Mapped()
        return self.read(kind, raw, received_at, notes)

    def admitted(
        self, kind: Kind, numbered: Sequence[tuple[int, Any]], notes: Notes
    ) -> tuple[Sequence[tuple[int, Any]], list[Refusal]]:
        """Records as they may be kept, for `read`, and those that cannot even be scrubbed."""
        if self.scrubber is None:
            return numbered, []
        kept: list[tuple[int, Any]] = []
        refused: list[Refusal] = []
        for number, raw in numbered:
            try:
                scrubbed = self.scrubber.record(raw, kind)
            except RecordError as error:
                refused.append(refusal_of(error, number))
                continue
            if scrubbed is None:
                notes[WITHOUT_CONSENT] += 1
            else:
                kept.append((number, scrubbed))
        return kept, refused

    def read(self, kind: Kind, raw: Any, received_at: datetime, notes: Notes) -> Mapped:
        """Map one record that has been scrubbed, or needs it not. Raises RecordError."""
        if not isinstance(raw, dict):
            raise refusal("record", f"expected an object, found {shown(raw)}.")
        if kind == "feedback":
            return Mapped(feedback=self._feedback.read(raw, received_at, notes))
        if kind == "spans":
            return Mapped(span=read_span(raw, received_at, notes))
        if kind == "labels":
            own = self._native or "prediction_id" in raw or isinstance(raw.get("keys"), dict)
            read = self._labels.read_own if own else self._labels.read
            return Mapped(label=read(raw, received_at, notes))
        prediction, label = self._predictions.read(raw, received_at, notes), None
        if self._labels.there(raw):
            label = (
                self._labels.of(prediction, raw, received_at, notes)
                if prediction is not None
                else self._labels.read(raw, received_at, notes)
            )
        if prediction is None and label is None:
            raise refusal(
                "empty",
                "there is nothing in it but an id.",
                hint="See [schema] for where things are looked for.",
            )
        return Mapped(prediction=prediction, label=label)


def native_mapper(spec: Spec) -> Mapper:
    """Of records with the field names of `records.py`."""
    return Mapper(spec, native=True)
