"""What the model said and what was done about it: the fields of a Prediction that stand for themselves, read and checked."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from whorl.capture.fields import Fields
from whorl.capture.paths import ABSENT
from whorl.capture.readers import Raw, Read, Reader
from whorl.capture.values import NAN, number, refusal, shown, text_of, whole
from whorl.records import Content, Item, Message
from whorl.spec import Spec

T = TypeVar("T")
SUM_TOLERANCE = 0.01


class _Answer(NamedTuple):
    """One field; `loose`: a value without the shape is somebody else's field of that name."""

    name: str
    get: Reader
    read: Read
    where: str
    loose: bool


class Answers:
    """The answer fields of one spec."""

    def __init__(self, spec: Spec, fields: Fields) -> None:
        self._task = spec.task
        self._paths = fields.prediction
        self._checks: dict[str, Callable[[Any, str], None]] = {
            "score": self._check_score,
            "scores": self._check_scores,
            "propensity": _check_propensity,
            **dict.fromkeys(("latency_ms", "cost_usd", "input_tokens", "output_tokens"), _check_amount),
        }
        self._declared = fields.declared
        self._tops = frozenset(route[0] for path in self._paths.values() for route in path.routes)
        # Records of one source have the same few: what they lack need not be looked for in each.
        self._below = lru_cache(maxsize=256)(self._possible)

    def read(self, raw: Raw) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields that are there, and what has the name of one but not its shape.

        Raises:
            RecordError: One cannot be read, or cannot be meant.
        """
        found: dict[str, Any] = {}
        shapeless: dict[str, Any] = {}
        here = self._tops.intersection(raw)
        if not here:
            return found, shapeless
        for name, get, read, where, loose in self._below(here):
            value = get(raw)
            if value is None or value is ABSENT:
                continue
            if loose and not isinstance(value, (list, dict)):
                shapeless[name] = value
            else:
                try:
                    answer = read(value, where)
                except (UnicodeEncodeError, RecursionError) as error:
                    raise refusal("encoding", f"it cannot be read as it is ({error}).", where) from None
                if answer is not None:
                    found[name] = answer
        for name, answer in found.items():
            if name in self._checks:
                self._checks[name](answer, self._paths[name].text)
        return found, shapeless

    def _possible(self, tops: frozenset[str]) -> list[_Answer]:
        """Those that a record with these of our top-level keys can have."""
        return [
            _Answer(name, path.get, _READS[name], path.text, name in _SHAPED and name not in self._declared)
            for name, path in self._paths.items()
            if any(route[0] in tops for route in path.routes)
        ]

    def _check_score(self, score: float, where: str) -> None:
        classes = self._task in ("binary", "multiclass")
        if not math.isfinite(score) or (classes and not 0 <= score <= 1):
            right = "a probability from 0 to 1" if classes else "a finite number"
            raise refusal("score", f"expected {right}, found {score}.", where)

    def _check_scores(self, scores: dict[str, float], where: str) -> None:
        bad = [name for name, value in scores.items() if not math.isfinite(value)]
        if bad:
            raise refusal("scores", f"the score of '{bad[0]}' is {scores[bad[0]]}.", where)
        if self._task != "multiclass":
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


def _check_propensity(propensity: float, where: str) -> None:
    if not 0 < propensity <= 1:
        hint = "It is the probability with which the action was taken."
        raise refusal("propensity", f"expected more than 0 and at most 1, found {propensity}.", where, hint)


def _check_amount(value: float, where: str) -> None:
    if not 0 <= value < math.inf:
        raise refusal("number", f"expected a finite number from 0, found {value}.", where)


def _structs(kind: type[T]) -> Read:
    def read(value: Any, where: str) -> list[T] | None:
        try:
            return msgspec.convert(_json_if_text(value, where), list[kind]) or None  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise refusal("shape", f"{error}.", where) from None

    return read


def _number(value: Any, where: str) -> float | None:
    """A number, where the text NaN is one and refused as such: a model that answers it is broken, not silent."""
    if isinstance(value, str) and value.strip() in NAN:
        return math.nan
    return number(value, where)


def _scores(value: Any, where: str) -> dict[str, float] | None:
    found = _json_if_text(value, where)
    if not isinstance(found, dict):
        raise refusal("scores", f"expected an object of scores by name, found {shown(found)}.", where)
    return {
        str(name): score for name, raw in found.items() if (score := _number(raw, where)) is not None
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


_READS: dict[str, Read] = {
    "score": _number,
    "scores": _scores,
    "output": _output,
    "items": _structs(Item),
    "messages": _structs(Message),
    "content": _structs(Content),
    "action": text_of,
    "propensity": _number,
    "model_version": text_of,
    "feature_version": text_of,
    "variant": text_of,
    "trace_id": text_of,
    "parent_id": text_of,
    "latency_ms": _number,
    "cost_usd": _number,
    "input_tokens": whole,
    "output_tokens": whole,
}
# Undeclared fields that are only taken when they have the shape: a column called `items` may be a count.
_SHAPED = ("scores", "items", "messages", "content")
