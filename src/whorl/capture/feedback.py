"""A raw record as Feedback. It has its own field names; the prediction may also be named as [schema] does it."""

from datetime import datetime
from typing import Any

from whorl.capture.fields import Fields
from whorl.capture.paths import Path, Remainder
from whorl.capture.readers import Raw, lifted, reader, time_reader
from whorl.capture.values import Notes, identifier, refusal, shown, text_of, truth
from whorl.records import Feedback


class Feedbacks:
    """Reads feedback by one spec."""

    def __init__(self, fields: Fields) -> None:
        self._schema_id = reader(fields.id, identifier)
        self._schema_time = time_reader(fields.time)
        self._id_is_the_predictions = fields.id.text == "id"
        self._rest = Remainder([fields.id, fields.time])

    def read(self, raw: Raw, received_at: datetime, notes: Notes) -> Feedback:
        """One signal. Raises RecordError."""
        own_id = identifier(raw.get("id"), "id")
        prediction_id = identifier(raw.get("prediction_id"), "prediction_id")
        session = identifier(raw.get("session"), "session")
        item_id = identifier(raw.get("item_id"), "item_id")
        if prediction_id is None and session is None:
            prediction_id = self._schema_id(raw)
            own_id = None if self._id_is_the_predictions else own_id
        if prediction_id is None and session is None and item_id is None:
            raise refusal("id", "it names no prediction, item or session.", "prediction_id")
        name = text_of(raw.get("name"), "name")
        if not name:
            raise refusal(
                "name", "the signal has no name.", "name", 'Such as "thumbs", "accepted" or "clicked".'
            )
        kind: Any = raw.get("kind") or "HUMAN"
        if kind not in ("HUMAN", "CODE", "LLM_JUDGE"):
            raise refusal("kind", f"expected HUMAN, CODE or LLM_JUDGE, found {shown(kind)}.", "kind")
        explicit = truth(raw.get("explicit"), "explicit")
        return Feedback(
            name=name,
            time=_own_time(raw, received_at, notes)
            or self._schema_time(raw, received_at, notes)
            or received_at,
            value=raw.get("value"),
            id=own_id,
            prediction_id=prediction_id,
            item_id=item_id,
            session=session,
            kind=kind,
            explicit=True if explicit is None else explicit,
            source=text_of(raw.get("source"), "source"),
            comment=text_of(raw.get("comment"), "comment"),
            correction=raw.get("correction"),
            extra=lifted(_OWN.of(self._rest.of(raw))),
        )


_own_time = time_reader(Path("time"))
_OWN = Remainder(
    Path(name)
    for name in (
        "id", "prediction_id", "item_id", "session", "name", "time", "value", "kind", "explicit", "source", "comment",
        "correction",
    )
)  # fmt: skip
