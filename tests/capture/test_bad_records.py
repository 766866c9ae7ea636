"""Each bad record is refused by itself, with a code, a place and what was found; its neighbours are kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.capture.mapping import Mapper
from whorl.capture.values import Notes
from whorl.errors import RecordError
from whorl.spec import Spec, parse_spec
from whorl.workspace import Workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# .NET's, east of Greenwich.
MIN_VALUE = "0001-01-01T00:00:00+02:00"
GOOD: dict[str, Any] = {"transaction_id": "1", "timestamp": "2025-12-01T00:00:00Z", "amount": 1.0}


def _with(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


BAD = [
    (_with(transaction_id=None), "id", "transaction_id"),
    (_with(transaction_id=" "), "id", "transaction_id"),
    (_with(transaction_id="a\x07b"), "id", "control characters"),
    (_with(transaction_id="é" * 300), "id", "longer than 512 bytes"),
    (_with(transaction_id={"a": 1}), "type", "object"),
    (_with(timestamp=None), "time", "timestamp: there is no time"),
    (_with(timestamp="yesterday"), "time", "'yesterday'"),
    (_with(timestamp=True), "time", "bool True"),
    (_with(timestamp=(NOW + timedelta(days=2)).isoformat()), "future", "2026-01-03"),
    (_with(timestamp=1e300), "time", "float"),
    (_with(timestamp=MIN_VALUE), "time", "timestamp: in UTC, 0001-01-01T00:00:00+02:00 lies outside"),
    (_with(timestamp="9999-12-31T23:59:59-14:00"), "time", "lies outside of the years 1 to 9999"),
    (_with(amount="abc"), "feature", "amount: feature 'amount' is declared as float: expected a number, found text 'abc'."),
    (_with(amount=[1]), "feature", "list [1]"),
    (_with(amount=True), "feature", "bool True"),
    (_with(visits=3.5), "feature", "whole number of 64 bits, found float 3.5"),
    (_with(visits=2**63), "feature", "whole number of 64 bits"),
    (_with(is_new_merchant="maybe"), "feature", "'maybe'"),
    (_with(merchant={"name": "x"}), "feature", "object"),
    (_with(merchant="\ud800"), "encoding", "surrogates"),
    (_with(odd=2**70), "encoding", "cannot be kept"),
    (_with(prediction={"fraud_probability": 1.5}), "score", "prediction.fraud_probability: expected a probability"),
    (_with(prediction={"fraud_probability": float("nan")}), "score", "nan"),
    (_with(prediction={"fraud_probability": "nan"}), "score", "prediction.fraud_probability: expected a probability from 0 to 1, found nan"),
    (_with(ground_truth={"is_fraud": "perhaps"}), "label", "ground_truth.is_fraud: expected true or false"),
    (_with(ground_truth={"is_fraud": 2}), "label", "int 2"),
    (_with(ground_truth={"is_fraud": True, "timestamp": "soon"}), "time", "ground_truth.timestamp"),
    (_with(propensity=0), "propensity", "at most 1"),
    (_with(latency_ms=-1), "number", "latency_ms"),
    (_with(latency_ms=" NaN "), "number", "found nan"),
    (_with(scores={"a": "NaN", "b": 1.0}), "scores", "'a' is nan"),
    (_with(messages=[{"content": "who?"}]), "shape", "role"),
    (_with(messages=["\ud83d"]), "encoding", "messages"),
    (_with(messages=[{"role": "user", "content": "\ud83d"}]), "encoding", "surrogates"),
    (_with(scores={"\ud83d": "inf"}), "scores", r"'\ud83d' is inf"),
    ({"transaction_id": "1"}, "empty", "nothing in it but an id"),
    (["a", "list"], "record", "expected an object"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "code", "part"), BAD, ids=[f"{code}-{part[:20]}" for _, code, part in BAD])
def test_a_bad_record_between_good_ones(ws: Workspace, raw: Any, code: str, part: str) -> None:
    answer = accept(ws, "predictions", [GOOD, raw, _with(transaction_id="2")])
    assert answer.accepted == 2
    (refusal,) = answer.refused
    assert (refusal.index, refusal.code) == (1, code)
    assert part in refusal.message
    assert flush(ws) == 2


@pytest.mark.parametrize(("raw", "code", "part"), BAD, ids=[f"{code}-{part[:20]}" for _, code, part in BAD])
def test_a_bad_record_among_many(ws: Workspace, raw: Any, code: str, part: str) -> None:
    many = [_with(transaction_id=str(number)) for number in range(120)]
    answer = accept(ws, "predictions", [*many, raw])
    assert answer.accepted == 120
    (refusal,) = answer.refused
    assert (refusal.index, refusal.code) == (120, code)
    assert part in refusal.message


@pytest.mark.parametrize("kind", ["labels", "feedback"])
@pytest.mark.parametrize("many", [1, 120])
def test_a_time_that_utc_does_not_have(ws: Workspace, kind: Any, many: int) -> None:
    good = {"prediction_id": "1", "value": True, "name": "thumbs", "time": "2025-12-01T00:00:00Z"}
    answer = accept(ws, kind, [*[good] * many, {**good, "time": MIN_VALUE}], native=True)
    assert answer.accepted == many
    assert [(one.code, "Leave it out" in one.hint) for one in answer.refused] == [("time", True)]


@pytest.mark.parametrize("name", ["messages", "items", "content", "scores"])
@pytest.mark.parametrize("many", [1, 120])
@pytest.mark.parametrize("text", ["\ud83d", "[" * 100_000])
def test_text_that_cannot_be_read_as_json(ws: Workspace, name: str, many: int, text: str) -> None:
    good = {"id": "1", "time": "2025-12-01T00:00:00Z", "features": {"amount": 1.0}}
    answer = accept(ws, "predictions", [*[good] * many, {**good, name: text}], native=True)
    assert answer.accepted == many
    assert [one.code for one in answer.refused] == ["encoding"]
    msgspec.json.encode(answer)


def test_a_record_of_50_mb(ws: Workspace) -> None:
    answer = accept(ws, "predictions", [_with(note="x" * 50_000_000), GOOD])
    assert answer.accepted == 1
    assert answer.refused[0].code == "size"
    assert "16,000,000" in answer.refused[0].message


def test_without_a_zone_is_utc_and_said_once(ws: Workspace) -> None:
    answer = accept(
        ws, "predictions", [_with(timestamp="2025-12-01T10:00:00"), _with(timestamp="2025-12-01")]
    )
    assert answer.notes == ["2 time(s) without a zone were taken as UTC."]
    flush(ws)
    (row, *_) = ws.engine.query(f"SELECT time FROM {ws.lake.relation('predictions')}").to_pylist()
    assert row["time"].utcoffset() == timedelta(0)


def test_nan_and_infinite_features_become_null_and_are_counted(ws: Workspace) -> None:
    answer = accept(ws, "predictions", [_with(amount=float("nan")), _with(amount=float("-inf")), GOOD])
    assert answer.notes == ["2 value(s) of 'amount' were NaN or infinite and became null."]
    assert answer.accepted == 3


@pytest.mark.parametrize(
    "value", [1_764_547_200, 1_764_547_200_000, "1764547200", 1_764_547_200_000_000, 1764547200.0]
)
def test_epochs_by_their_size(spec: Spec, value: Any) -> None:
    prediction = Mapper(spec).map("predictions", _with(timestamp=value), NOW, Notes()).prediction
    assert prediction is not None
    assert prediction.time == datetime(2025, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [1, 1.0])
def test_numbers_of_one_category_are_one_text(spec: Spec, value: Any) -> None:
    prediction = Mapper(spec).map("predictions", _with(merchant=value), NOW, Notes()).prediction
    assert prediction is not None
    assert prediction.features["merchant"] == "1"


@pytest.mark.parametrize("value", [True, 1, 1.0, "true", "TRUE", "1"])
def test_the_words_for_a_positive_label(spec: Spec, value: Any) -> None:
    label = (
        Mapper(spec)
        .map("labels", {"transaction_id": "1", "ground_truth": {"is_fraud": value}}, NOW, Notes())
        .label
    )
    assert label is not None
    assert label.value is True


def test_a_named_positive_label() -> None:
    spec = parse_spec('name="f"\ntask="binary"\n[schema]\nlabel="outcome"\npositive="fraud"')
    labels = [
        Mapper(spec).map("labels", {"id": "1", "outcome": value}, NOW, Notes()).label
        for value in ("fraud", "genuine", True)
    ]
    assert [label.value for label in labels if label] == [True, False, True]


@pytest.mark.parametrize(
    "scores", [{"a": 0.5, "b": 0.2}, {"a": 1.2, "b": -0.2}, {"a": float("nan"), "b": 1.0}, 3]
)
def test_a_class_vector_that_cannot_be(scores: Any) -> None:
    spec = parse_spec('name="f"\ntask="multiclass"\n[schema]\nscores="scores"')
    raw = {"id": "1", "time": 0, "scores": scores}
    with pytest.raises(RecordError) as refused:
        Mapper(spec).map("predictions", raw, NOW, Notes())
    assert refused.value.facts["reason"] == "scores"


def test_several_scores_need_not_add_up(spec: Spec) -> None:
    raw = _with(scores={"toxic": 0.9, "spam": 0.8})
    prediction = Mapper(spec).map("predictions", raw, NOW, Notes()).prediction
    assert prediction is not None
    assert prediction.scores == {"toxic": 0.9, "spam": 0.8}


def test_a_column_that_only_shares_a_name_is_kept_as_it_is(spec: Spec) -> None:
    prediction = Mapper(spec).map("predictions", _with(items=3), NOW, Notes()).prediction
    assert prediction is not None
    assert (prediction.items, prediction.extra) == (None, {"items": 3})
