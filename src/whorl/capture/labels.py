"""A raw record as a Label: in a company's shape, inside a prediction, or with the field names of Label itself."""

from datetime import datetime
from typing import Any

import msgspec

from whorl.capture.fields import Fields
from whorl.capture.paths import ABSENT, Path, Remainder
from whorl.capture.readers import Raw, lifted, reader, readers, time_reader
from whorl.capture.values import Notes, identifier, label_value, refusal, text_of
from whorl.records import Label, Prediction
from whorl.spec import Spec

LABEL_UNKNOWN = "{n} label(s) were empty or NaN: not known yet."


class Labels:
    """Reads labels by one spec."""

    def __init__(self, spec: Spec, fields: Fields) -> None:
        self._spec, self._fields = spec, fields
        self._by_keys = spec.labels.on != ["id"]
        self._value = reader(fields.label, self._truth)
        self._id = reader(fields.id, identifier)
        self._keys = readers(fields.keys, identifier)
        self._time = time_reader(fields.label_time)
        self._source = reader(fields.label_source, text_of)
        parent = fields.label_parent
        self._beside = [route[0] for route in parent.routes] if parent else []
        self._own_keys = readers({name: Path(f"keys.{name}") for name in fields.keys}, identifier)

    def there(self, raw: Raw) -> bool:
        """Whether a record holds something where the label is, though it may mean: not known."""
        path = self._fields.label
        value = None if path is None else path.get(raw)
        return value is not None and value is not ABSENT

    def of(self, prediction: Prediction, raw: Raw, received_at: datetime, notes: Notes) -> Label | None:
        """The label in a record of predictions; None, with a note, when its value means: not known."""
        value = self._value(raw)
        if value is None:
            notes[LABEL_UNKNOWN] += 1
            return None
        beside = {key: raw[key] for key in self._beside if key in raw}
        return self._made(raw, value, prediction.id, prediction.keys, beside, received_at, notes)

    def read(self, raw: Raw, received_at: datetime, notes: Notes) -> Label:
        """A record that is a label, in the shape of [schema]. Raises RecordError."""
        value = self._value(raw)
        if value is None:
            where = self._fields.label.text if self._fields.label else ""
            raise refusal("label", "there is no label.", where, "[schema] label says where it is.")
        known_id = self._id(raw)
        keys = self._keys(raw)
        if self._by_keys:
            # The id in such a record is the label's own: its prediction is found by the keys.
            own = self._made(raw, value, None, keys, raw, received_at, notes)
            return msgspec.structs.replace(own, id=known_id)
        return self._made(raw, value, known_id, keys, raw, received_at, notes)

    def read_own(self, raw: Raw, received_at: datetime, notes: Notes) -> Label:
        """A record with the field names of Label itself. Raises RecordError."""
        value = self._truth(raw.get("value"), "value")
        if value is None:
            raise refusal("label", "there is no label.", "value")
        known_id = _own_prediction(raw)
        keys = self._own_keys(raw)
        self._need_reference(known_id, keys, "prediction_id")
        return Label(
            value=value,
            time=_own_time(raw, received_at, notes) or received_at,
            prediction_id=known_id,
            keys=keys,
            source=text_of(raw.get("source"), "source"),
            id=identifier(raw.get("id"), "id"),
            extra=lifted(_OWN.of(raw)),
        )

    def _truth(self, value: Any, where: str) -> Any:
        return label_value(value, self._spec, where)

    def _made(
        self, raw: Raw, value: Any, known_id: str | None, keys: dict[str, str], beside: Raw,
        received_at: datetime, notes: Notes,
    ) -> Label:  # fmt: skip
        self._need_reference(known_id, keys, self._fields.id.text)
        return Label(
            value=value,
            time=self._time(raw, received_at, notes) or received_at,
            prediction_id=known_id,
            keys=keys,
            source=self._source(raw),
            extra=self._fields.label_rest.of(beside),
        )

    def _need_reference(self, known_id: str | None, keys: dict[str, str], where: str) -> None:
        if known_id is not None:
            return
        if not self._by_keys:
            raise refusal("id", "there is no id of the prediction that this is the truth of.", where)
        missing = [key for key in self._spec.labels.on if key != "id" and key not in keys]
        if missing:
            raise refusal("key", f"there is no key '{missing[0]}', by which labels are joined.", missing[0])


_own_prediction = reader(Path("prediction_id"), identifier)
_own_time = time_reader(Path("time"))
_OWN = Remainder(Path(name) for name in ("prediction_id", "value", "time", "source", "keys", "id"))
