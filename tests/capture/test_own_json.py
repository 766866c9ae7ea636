"""A company's own JSON goes in as it is, and its parts complete each other."""

from datetime import UTC, datetime

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.capture.mapping import Mapper
from whorl.capture.values import Notes
from whorl.spec import Spec, parse_spec
from whorl.workspace import Workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAYMENT = {
    "transaction_id": "txn_12345abc",
    "amount": 150.75,
    "merchant": "OnlineGadgets Inc.",
    "user_id": "user_9876",
    "timestamp": "2023-10-27T10:30:00Z",
    "features": {"visits": 3, "is_new_merchant": False, "unknown": 1},
    "channel": "web",
}
ANSWER = {"transaction_id": "txn_12345abc", "prediction": {"fraud_probability": 0.62}}
TRUTH = {
    "transaction_id": "txn_12345abc",
    "ground_truth": {
        "is_fraud": True,
        "labeling_source": "user_dispute_confirmed_by_analyst",
        "timestamp": "2023-10-28T09:00:00Z",
    },
}


def test_three_records_become_one_example(ws: Workspace) -> None:
    for kind, record in (("predictions", PAYMENT), ("predictions", ANSWER), ("labels", TRUTH)):
        assert accept(ws, kind, [record]).accepted == 1  # type: ignore[arg-type]
    assert flush(ws) == 3
    (example,) = ws.examples(NOW).select().to_pylist()
    assert example["score"] == 0.62
    assert example["label"] is True
    assert example["label_source"] == "user_dispute_confirmed_by_analyst"
    assert example["delay_days"] == 0.9375
    assert (example["f_amount"], example["f_visits"], example["f_is_new_merchant"]) == (150.75, 3, False)


def test_all_in_one_record_yields_both_and_the_truth_leaves_no_trace(spec: Spec) -> None:
    mapped = Mapper(spec).map("predictions", {**PAYMENT, **ANSWER, **TRUTH}, NOW, Notes())
    assert mapped.prediction is not None
    assert mapped.label is not None
    assert mapped.prediction.extra == {"features": {"unknown": 1}, "channel": "web"}
    assert mapped.label.time == datetime(2023, 10, 28, 9, tzinfo=UTC)


def test_what_lies_beside_the_truth_stays_with_the_label(spec: Spec) -> None:
    truth = {"ground_truth": {"is_fraud": 1, "analyst": "ann"}}
    mapped = Mapper(spec).map("predictions", {**PAYMENT, **truth}, NOW, Notes())
    assert mapped.label is not None
    assert mapped.label.extra == {"ground_truth": {"analyst": "ann"}}
    assert mapped.prediction is not None
    assert "ground_truth" not in mapped.prediction.extra


def test_an_answer_alone_takes_its_arrival_and_inputs_alone_do_not(spec: Spec) -> None:
    mapped = Mapper(spec).map("predictions", ANSWER, NOW, Notes())
    assert mapped.prediction is not None
    assert mapped.prediction.time == NOW


def test_dotted_keys_are_paths_too(spec: Spec) -> None:
    flat = {"transaction_id": "1", "prediction.fraud_probability": 0.5, "ground_truth.is_fraud": False}
    mapped = Mapper(spec).map("predictions", flat, NOW, Notes())
    assert mapped.prediction is not None
    assert mapped.prediction.score == 0.5
    assert mapped.label is not None
    assert mapped.label.value is False


def test_a_flat_label_does_not_take_the_time_of_the_prediction() -> None:
    spec = parse_spec('name="f"\ntask="binary"\n[schema]\ntime="timestamp"\nlabel="is_fraud"')
    raw = {"id": "1", "timestamp": "2025-01-01T00:00:00Z", "is_fraud": 0}
    label = Mapper(spec).map("predictions", raw, NOW, Notes()).label
    assert label is not None
    assert label.time == NOW


def test_field_names_of_the_records_themselves(spec: Spec) -> None:
    record = {
        "id": "1",
        "time": "2025-01-01T00:00:00Z",
        "group": "u",
        "score": 0.1,
        "features": {"amount": 3},
        "messages": [{"role": "user", "content": "hi"}],
        "extra": {"a": 1},
    }
    prediction = Mapper(spec, native=True).map("predictions", record, NOW, Notes()).prediction
    assert prediction is not None
    assert (prediction.group, prediction.score, prediction.features) == ("u", 0.1, {"amount": 3.0})
    assert prediction.messages is not None
    assert prediction.extra == {"a": 1}


def test_labels_by_business_keys() -> None:
    spec = parse_spec(
        'name="f"\ntask="regression"\n[schema]\nlabel="paid"\nkeys={order="order_no"}\n[labels]\non=["order"]'
    )
    label = Mapper(spec).map("labels", {"id": "row 7", "order_no": 17, "paid": "12.5"}, NOW, Notes()).label
    assert label is not None
    assert (label.prediction_id, label.keys, label.value, label.id) == (None, {"order": "17"}, 12.5, "row 7")


def test_feedback_on_a_prediction_an_item_or_a_session(ws: Workspace) -> None:
    records = [
        {"name": "thumbs", "prediction_id": "1", "value": 1},
        {"name": "clicked", "item_id": "sku", "session": "s", "explicit": False},
        {"name": "abandoned", "session": "s"},
        {"name": "thumbs", "transaction_id": "2", "value": -1},
        {"name": "thumbs", "value": 1},
        {"prediction_id": "1"},
    ]
    answer = accept(ws, "feedback", records)
    assert (answer.accepted, [refusal.index for refusal in answer.refused]) == (4, [4, 5])
    assert flush(ws) == 4
    rows = ws.engine.query(f"SELECT * FROM {ws.lake.relation('feedback')} ORDER BY number").to_pylist()
    assert [row["number"] for row in rows[:2]] == [-1.0, 1.0]
    assert rows[0]["prediction_id"] == "2"
