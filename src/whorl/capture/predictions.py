"""A raw record as a Prediction: who and when, its features, what the model said, and all that nobody asked for in `extra`."""

from datetime import datetime

from whorl.capture.answers import Answers
from whorl.capture.features import Features
from whorl.capture.fields import Fields
from whorl.capture.readers import Raw, lifted, reader, readers, time_reader
from whorl.capture.values import TIME_HINT, Notes, group, identifier, refusal, text_of
from whorl.records import Prediction
from whorl.spec import Spec

INPUTS = frozenset(("messages", "items", "content"))


class Predictions:
    """Reads predictions by one spec."""

    def __init__(self, spec: Spec, fields: Fields, *, native: bool) -> None:
        self._fields, self._native = fields, native
        self._answers, self._features = Answers(spec, fields), Features(spec, fields)
        self._id = reader(fields.id, identifier)
        self._time, self._logged_at = time_reader(fields.time), time_reader(fields.logged_at)
        self._group = reader(fields.group, group)
        self._session = reader(fields.session, identifier)
        self._keys = readers(fields.keys, identifier)
        self._protected = readers(fields.protected, text_of)

    def read(self, raw: Raw, received_at: datetime, notes: Notes) -> Prediction | None:
        """None when there is nothing in it but an id. Raises RecordError."""
        known_id = self._id(raw)
        answers, shapeless = self._answers.read(raw)
        features = self._features.read(raw, notes)
        time = self._time(raw, received_at, notes)
        if time is None:
            if features or not INPUTS.isdisjoint(answers):
                time = self._logged_at(raw, received_at, notes)
                if time is None:
                    raise refusal("time", "there is no time.", self._fields.time.text, TIME_HINT)
            elif not answers:
                return None
        if known_id is None:
            raise refusal("id", "there is no id.", self._fields.id.text, "[schema] id says where it is.")
        rest = self._fields.rest.of(raw)
        if self._native and rest:
            rest = lifted(rest)
        return Prediction(
            id=known_id,
            time=time or received_at,
            features=features,
            group=self._group(raw),
            session=self._session(raw),
            keys=self._keys(raw),
            protected=self._protected(raw),
            extra={**rest, **shapeless} if shapeless else rest,
            **answers,
        )
