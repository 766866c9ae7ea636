"""One raw record in, words out: a Prediction, a Label, both, or a Feedback; or a RecordError that says what is wrong.

What is not mapped goes to `extra`, except what lies beside the label: that would tell the answer.

Arrival stands in for a missing time. A record with inputs (features, messages, items) must say when; one that only brings
an answer completes an earlier one, and carries `time == received_at` exactly. The join reads that as "time unknown"
whenever another record of the same id knows better, so completing never moves a prediction in time.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from whorl.capture.fields import Fields
from whorl.capture.paths import ABSENT, Path, Remainder
from whorl.capture.values import (
    TIME_HINT,
    Notes,
    identifier,
    instant,
    label_value,
    not_finite,
    number,
    plain,
    refusal,
    shown,
    text_of,
    truth,
    whole,
)
from whorl.errors import RecordError
from whorl.records import Content, Feedback, Item, Label, Message, Prediction
from whorl.spec import Spec

Kind = Literal["predictions", "labels", "feedback"]
Read = Callable[[Any, str], Any]
T = TypeVar("T")

AHEAD = timedelta(days=1)
SUM_TOLERANCE = 0.01
FEATURE_READS: dict[str, Read] = {
    "float": number,
    "int": whole,
    "bool": truth,
    "category": text_of,
    "text": text_of,
}
LABEL_UNKNOWN = "{n} label(s) were empty or NaN: not known yet."


class Mapped(NamedTuple):
    """What one raw record holds."""

    prediction: Prediction | None = None
    label: Label | None = None
    feedback: Feedback | None = None

    def by_kind(self) -> dict[Kind, Prediction | Label | Feedback]:
        """Those that are there."""
        parts: dict[Kind, Prediction | Label | Feedback | None] = {
            "predictions": self.prediction, "labels": self.label, "feedback": self.feedback
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
        self.spec, self.native = spec, native
        self.fields = Fields(spec, native=native)
        self._features = [
            (name, feature.type, FEATURE_READS[feature.type], self.fields.features[name])
            for name, feature in spec.features.items()
        ]
        self._answers = [
            (name, path, _READS[name], name in self.fields.declared)
            for name, path in self.fields.prediction.items()
        ]
        self._answer_keys = {route[0] for path in self.fields.prediction.values() for route in path.routes}
        self._by_keys = spec.labels.on != ["id"]

    def map(self, kind: Kind, raw: Any, received_at: datetime, notes: Notes) -> Mapped:
        """Map one record of a batch of `kind` (predictions, labels or feedback).

        Raises:
            RecordError: With `facts["reason"]` as a short code.
        """
        if not isinstance(raw, dict):
            raise refusal("record", f"expected an object, found {shown(raw)}.")
        if kind == "feedback":
            return Mapped(feedback=self._feedback(raw, received_at, notes))
        if kind == "labels":
            own = self.native or "prediction_id" in raw or isinstance(raw.get("keys"), dict)
            return Mapped(label=(self._own_label if own else self._label)(raw, received_at, notes))
        prediction, label = self._prediction(raw, received_at, notes), None
        if self.fields.label is not None and self.fields.label.get(raw) not in (None, ABSENT):
            label = self._joined_label(raw, prediction, received_at, notes)
        if prediction is None and label is None:
            raise refusal(
                "empty",
                "there is nothing in it but an id.",
                hint="See [schema] for where things are looked for.",
            )
        return Mapped(prediction=prediction, label=label)

    def _prediction(self, raw: dict[str, Any], received_at: datetime, notes: Notes) -> Prediction | None:
        fields = self.fields
        known_id = self._identifier(fields.id, raw)
        answers: dict[str, Any] = {}
        shapeless: dict[str, Any] = {}
        for name, path, read, declared in () if self._answer_keys.isdisjoint(raw) else self._answers:
            value = path.get(raw)
            if value is None or value is ABSENT:
                continue
            if name in _SHAPED and not declared and not isinstance(value, (list, dict)):
                shapeless[name] = value
            elif (found := read(value, path.text)) is not None:
                answers[name] = found
        self._check_answers(answers)
        features = self._feature_values(raw, notes)
        time = self._instant(fields.time, raw, received_at, notes)
        if time is None:
            if features or any(name in answers for name in ("messages", "items", "content")):
                raise refusal("time", "there is no time.", fields.time.text, TIME_HINT)
            if not answers:
                return None
        if known_id is None:
            raise refusal("id", "there is no id.", fields.id.text, "[schema] id says where it is.")
        group = self._identifier(fields.group, raw) if fields.group else None
        session = self._identifier(fields.session, raw) if fields.session else None
        return Prediction(
            id=known_id,
            time=time or received_at,
            features=features,
            group=group,
            session=session,
            keys=self._named(fields.keys, raw, identifier),
            protected=self._named(fields.protected, raw, text_of),
            extra={**self._rest(fields.rest, raw), **shapeless},
            **answers,
        )

    def _feature_values(self, raw: dict[str, Any], notes: Notes) -> dict[str, Any]:
        features: dict[str, Any] = {}
        for name, kind, read, paths in self._features:
            for path in paths:
                value = path.get(raw)
                if value is not ABSENT:
                    break
            if value is ABSENT or value is None:
                continue
            try:
                found = read(value, name)
            except RecordError as error:
                raise refusal(
                    "feature", f"feature '{name}' is declared as {kind}: {error.message}", path.text
                ) from None
            if isinstance(found, float) and not math.isfinite(found):
                found = None
            if found is not None:
                features[name] = found
            elif is_not_finite(value):
                notes[not_finite(name)] += 1
        return features

    def _check_answers(self, answers: dict[str, Any]) -> None:
        paths, classes = self.fields.prediction, self.spec.task in ("binary", "multiclass")
        score = answers.get("score")
        if score is not None and (not math.isfinite(score) or (classes and not 0 <= score <= 1)):
            right = "a probability from 0 to 1" if classes else "a finite number"
            raise refusal("score", f"expected {right}, found {score}.", paths["score"].text)
        scores = answers.get("scores")
        if scores is not None:
            self._check_scores(scores, paths["scores"].text)
        propensity = answers.get("propensity")
        if propensity is not None and not 0 < propensity <= 1:
            hint = "It is the probability with which the action was taken."
            raise refusal(
                "propensity",
                f"expected more than 0 and at most 1, found {propensity}.",
                paths["propensity"].text,
                hint,
            )
        for name in ("latency_ms", "cost_usd", "input_tokens", "output_tokens"):
            value = answers.get(name)
            if value is not None and not 0 <= value < math.inf:
                raise refusal("number", f"expected a finite number from 0, found {value}.", paths[name].text)

    def _check_scores(self, scores: dict[str, float], where: str) -> None:
        bad = [name for name, value in scores.items() if not math.isfinite(value)]
        if bad:
            raise refusal("scores", f"the score of '{bad[0]}' is {scores[bad[0]]}.", where)
        if self.spec.task != "multiclass":
            return
        outside = [name for name, value in scores.items() if not 0 <= value <= 1]
        if outside:
            raise refusal("scores", f"the probability of '{outside[0]}' is {scores[outside[0]]}.", where)
        total = math.fsum(scores.values())
        if abs(total - 1) > SUM_TOLERANCE:
            raise refusal(
                "scores", f"the probabilities of the classes add up to {total:.4g}, not 1.", where,
                "Log one probability for every class.",
            )  # fmt: skip

    def _joined_label(
        self, raw: dict[str, Any], prediction: Prediction | None, received_at: datetime, notes: Notes
    ) -> Label | None:
        """The label in a record of predictions; None when its value means: not known."""
        if prediction is None:
            return self._label(raw, received_at, notes)
        value = self._label_value(raw)
        if value is None:
            notes[LABEL_UNKNOWN] += 1
            return None
        parent = self.fields.label_parent
        beside = {key: raw[key] for route in parent.routes if (key := route[0]) in raw} if parent else {}
        return self._make_label(raw, value, prediction.id, prediction.keys, beside, received_at, notes)

    def _label(self, raw: dict[str, Any], received_at: datetime, notes: Notes) -> Label:
        fields = self.fields
        value = self._label_value(raw)
        if value is None:
            where = fields.label.text if fields.label else ""
            raise refusal("label", "there is no label.", where, "[schema] label says where it is.")
        known_id = self._identifier(fields.id, raw)
        keys = self._named(fields.keys, raw, identifier)
        if self._by_keys:
            # The id in such a record is the label's own: its prediction is found by the keys.
            own = self._make_label(raw, value, None, keys, raw, received_at, notes)
            return msgspec.structs.replace(own, id=known_id)
        return self._make_label(raw, value, known_id, keys, raw, received_at, notes)

    def _label_value(self, raw: dict[str, Any]) -> Any:
        path = self.fields.label
        value = path.get(raw) if path else None
        return None if value is ABSENT or path is None else label_value(value, self.spec, path.text)

    def _make_label(
        self, raw: dict[str, Any], value: Any, known_id: str | None, keys: dict[str, str], beside: dict[str, Any],
        received_at: datetime, notes: Notes,
    ) -> Label:  # fmt: skip
        fields = self.fields
        self._need_reference(known_id, keys, fields.id.text)
        source = fields.label_source.get(raw)
        return Label(
            value=value,
            time=self._instant(fields.label_time, raw, received_at, notes) or received_at,
            prediction_id=known_id,
            keys=keys,
            source=None if source is ABSENT else text_of(source, fields.label_source.text),
            extra=fields.label_rest.of(beside),
        )

    def _own_label(self, raw: dict[str, Any], received_at: datetime, notes: Notes) -> Label:
        """A record with the field names of Label itself."""
        value = label_value(raw.get("value"), self.spec, "value")
        if value is None:
            raise refusal("label", "there is no label.", "value")
        known_id = self._identifier(_OWN["prediction_id"], raw)
        keys = self._named({name: Path(f"keys.{name}") for name in self.fields.keys}, raw, identifier)
        self._need_reference(known_id, keys, "prediction_id")
        return Label(
            value=value,
            time=self._instant(_OWN["time"], raw, received_at, notes) or received_at,
            prediction_id=known_id,
            keys=keys,
            source=text_of(raw.get("source"), "source"),
            id=identifier(raw.get("id"), "id"),
            extra=_lifted(_OWN_LABEL.of(raw)),
        )

    def _need_reference(self, known_id: str | None, keys: dict[str, str], where: str) -> None:
        if known_id is None and not self._by_keys:
            raise refusal("id", "there is no id of the prediction that this is the truth of.", where)
        missing = [key for key in self.spec.labels.on if key != "id" and key not in keys]
        if known_id is None and missing:
            raise refusal("key", f"there is no key '{missing[0]}', by which labels are joined.", missing[0])

    def _feedback(self, raw: dict[str, Any], received_at: datetime, notes: Notes) -> Feedback:
        """Feedback has its own field names; the prediction may also be named as [schema] does it."""
        own_id = identifier(raw.get("id"), "id")
        prediction_id = identifier(raw.get("prediction_id"), "prediction_id")
        session = identifier(raw.get("session"), "session")
        item_id = identifier(raw.get("item_id"), "item_id")
        if prediction_id is None and session is None:
            prediction_id = self._identifier(self.fields.id, raw)
            own_id = None if self.fields.id.text == "id" else own_id
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
            time=self._instant(_OWN["time"], raw, received_at, notes)
            or self._instant(self.fields.time, raw, received_at, notes)
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
            extra=_lifted(_OWN_FEEDBACK.of(Remainder([self.fields.id, self.fields.time]).of(raw))),
        )

    def _rest(self, remainder: Remainder, raw: dict[str, Any]) -> dict[str, Any]:
        rest = remainder.of(raw)
        return _lifted(rest) if self.native and rest else rest

    @staticmethod
    def _identifier(path: Path, raw: dict[str, Any]) -> str | None:
        value = path.get(raw)
        return None if value is ABSENT else identifier(value, path.text)

    @staticmethod
    def _named(paths: dict[str, Path], raw: dict[str, Any], read: Read) -> dict[str, str]:
        found = {name: path.get(raw) for name, path in paths.items()}
        read_all = {
            name: read(value, paths[name].text) for name, value in found.items() if value is not ABSENT
        }
        return {name: value for name, value in read_all.items() if value is not None}

    @staticmethod
    def _instant(path: Path, raw: dict[str, Any], received_at: datetime, notes: Notes) -> datetime | None:
        value = path.get(raw)
        if value is ABSENT or value is None:
            return None
        found = instant(value, notes, path.text)
        if found is not None and found > received_at + AHEAD:
            raise refusal(
                "future", f"{found.isoformat()} lies more than a day ahead of the clock.", path.text,
                "Is it in another unit or zone?",
            )  # fmt: skip
        return found


def is_not_finite(value: Any) -> bool:
    """NaN or infinity, as a number or (infinity) as text: what becomes null with a note rather than silently.

    >>> is_not_finite(float("nan")), is_not_finite("inf"), is_not_finite("NaN")
    (True, True, False)
    """
    value = plain(value)
    if isinstance(value, str):
        return value.strip().lstrip("+-").lower() in ("inf", "infinity")
    return isinstance(value, (float, Decimal)) and not math.isfinite(value)


def _structs(kind: type[T]) -> Read:
    def read(value: Any, where: str) -> list[T] | None:
        try:
            return msgspec.convert(_json_if_text(value, where), list[kind]) or None  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise refusal("shape", f"{error}.", where) from None

    return read


def _scores(value: Any, where: str) -> dict[str, float] | None:
    found = _json_if_text(value, where)
    if not isinstance(found, dict):
        raise refusal("scores", f"expected an object of scores by name, found {shown(found)}.", where)
    return {
        str(name): score for name, raw in found.items() if (score := number(raw, where)) is not None
    } or None


def _output(value: Any, where: str) -> Any:
    return value if isinstance(value, (dict, list)) else text_of(value, where)


def _json_if_text(value: Any, where: str) -> Any:
    """A CSV cell can hold a list or an object only as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise refusal("shape", f"expected JSON, found {shown(value)} ({error}).", where) from None


def _lifted(rest: dict[str, Any]) -> dict[str, Any]:
    """`extra` of a record that already has such a field."""
    inner = rest.get("extra")
    return {**{k: v for k, v in rest.items() if k != "extra"}, **inner} if isinstance(inner, dict) else rest


_READS: dict[str, Read] = {
    "score": number,
    "scores": _scores,
    "output": _output,
    "items": _structs(Item),
    "messages": _structs(Message),
    "content": _structs(Content),
    "action": text_of,
    "propensity": number,
    "model_version": text_of,
    "feature_version": text_of,
    "variant": text_of,
    "trace_id": text_of,
    "parent_id": text_of,
    "latency_ms": number,
    "cost_usd": number,
    "input_tokens": whole,
    "output_tokens": whole,
}
# Undeclared fields that are only taken when they have the shape: a column called `items` may be a count.
_SHAPED = ("scores", "items", "messages", "content")
_OWN = {name: Path(name) for name in ("prediction_id", "time")}
_OWN_LABEL = Remainder(Path(name) for name in ("prediction_id", "value", "time", "source", "keys", "id"))
_OWN_FEEDBACK = Remainder(
    Path(name)
    for name in (
        "id", "prediction_id", "item_id", "session", "name", "time", "value", "kind", "explicit", "source", "comment",
        "correction",
    )
)  # fmt: skip
