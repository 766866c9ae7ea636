"""The embedded face logs as the client does; it returns when the record is on disk. That their verbs are alike: test_both_faces."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whorl
from whorl.clock import SimulatedClock
from whorl.errors import InboxFull, RecordError
from whorl.storage.inbox import Inbox

SPEC = """
name = "shop"
task = "binary"

[schema]
id = "order_id"
time = "at"
label = "truth"

[schema.features]
amount = "float"
"""


@pytest.fixture
def flywheel(tmp_path: Path, clock: SimulatedClock) -> Iterator[whorl.Flywheel]:
    (tmp_path / "shop.toml").write_text(SPEC)
    with whorl.open(tmp_path / "shop.toml", workspace=tmp_path / "ws", clock=clock) as opened:
        yield opened


def rows(flywheel: whorl.Flywheel, table: str, columns: str) -> list[dict[str, Any]]:
    flywheel.flush()
    ws = flywheel.workspace
    found = ws.engine.query(f"SELECT {columns} FROM {ws.lake.relation(table)} ORDER BY 1")  # type: ignore[arg-type]
    return list(found.to_pylist())


def test_labels_and_feedback(flywheel: whorl.Flywheel) -> None:
    flywheel.log_label("a", True, source="analyst")
    flywheel.log_label("b", False, time="2025-12-31T00:00:00Z")
    flywheel.log_feedback("a", "thumbs", 1, comment="good")
    labels = rows(flywheel, "labels", "prediction_id, value, source, time")
    assert [(row["prediction_id"], row["source"], row["time"].isoformat()) for row in labels] == [
        ("a", "analyst", "2026-01-01T00:00:00+00:00"),
        ("b", None, "2025-12-31T00:00:00+00:00"),
    ]
    (feedback,) = rows(flywheel, "feedback", "prediction_id, name, comment")
    assert feedback == {"prediction_id": "a", "name": "thumbs", "comment": "good"}


def test_a_time_that_is_missing_is_that_of_the_call_and_one_that_is_there_stays(
    flywheel: whorl.Flywheel,
) -> None:
    flywheel.log_prediction({"order_id": "a", "amount": 1.0})
    flywheel.log_prediction({"order_id": "b", "amount": 1.0, "at": "2025-12-31T00:00:00Z"})
    found = rows(flywheel, "predictions", "id, time, extra")
    assert [row["time"].isoformat()[:10] for row in found] == ["2026-01-01", "2025-12-31"]
    assert "logged_at" not in str([row["extra"] for row in found])


def test_what_is_refused_raises(flywheel: whorl.Flywheel) -> None:
    with pytest.raises(RecordError, match="expected a number"):
        flywheel.log_prediction({"order_id": "a", "amount": "much"})
    assert flywheel.stats().refused == 1


def test_what_could_not_be_kept_raises_and_is_counted(flywheel: whorl.Flywheel) -> None:
    flywheel.log_prediction({"order_id": "a", "amount": 1.0})
    flywheel.workspace.inbox.close()
    flywheel.workspace.inbox = Inbox(flywheel.workspace.ledger, capacity_bytes=1)
    with pytest.raises(InboxFull):
        flywheel.log_predictions({"order_id": id, "amount": 1.0} for id in "bc")
    stats = flywheel.stats()
    assert (stats.logged, stats.sent, stats.dropped, stats.waiting) == (3, 1, {"disk": 2}, 0)


def test_track_logs_in_this_process(flywheel: whorl.Flywheel, caplog: pytest.LogCaptureFixture) -> None:
    @flywheel.track(id="order")
    def score(order: str, amount: Any) -> float:  # noqa: ARG001 - it is the id
        return 0.25

    assert score("o_1", 2.0) == 0.25
    assert score("o_2", "much") == 0.25
    (row,) = rows(flywheel, "predictions", "id, f_amount, output, extra")
    assert (row["id"], row["f_amount"], row["output"]) == ("o_1", 2.0, "0.25")
    assert "test_track_logs_in_this_process" in row["extra"]
    assert "expected a number, found text 'much'" in caplog.text
