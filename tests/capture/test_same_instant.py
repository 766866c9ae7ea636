"""What is captured at the very time of a question counts when it is asked again; what comes later leaves the answer alone."""

from datetime import timedelta
from pathlib import Path

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.capture.importers.files import ingest_file
from whorl.clock import SimulatedClock
from whorl.workspace import Workspace


def _log(ws: Workspace, *ids: str) -> None:
    time = ws.clock.now()
    accept(ws, "predictions", [{"transaction_id": i, "timestamp": time, "amount": 1.0} for i in ids])
    flush(ws)


def _known(ws: Workspace, clock: SimulatedClock) -> int:
    return int(ws.examples(clock.now()).coverage()["known"])


def test_on_a_standing_clock_labels_count(ws: Workspace, clock: SimulatedClock, tmp_path: Path) -> None:
    _log(ws, "a", "b")
    assert _known(ws, clock) == 0
    assert sum(ws.arrivals(clock.now(), []).labels_by_class().values()) == 0
    accept(ws, "labels", [{"prediction_id": "a", "value": True}])
    flush(ws)
    assert _known(ws, clock) == 1
    assert sum(ws.arrivals(clock.now(), []).labels_by_class().values()) == 1
    (tmp_path / "labels.csv").write_text("prediction_id,value\nb,false\n")
    ingest_file(ws, tmp_path / "labels.csv", "labels")
    assert _known(ws, clock) == 2


def test_what_is_received_later_leaves_a_snapshot_alone(ws: Workspace, clock: SimulatedClock) -> None:
    _log(ws, "a")
    as_of = clock.now()
    examples, arrivals = ws.examples(as_of), ws.arrivals(as_of, [])
    clock.advance(timedelta(microseconds=1))
    _log(ws, "b")
    assert ws.examples(as_of) is examples
    assert ws.arrivals(as_of, []) is arrivals
