"""Three months of real bookings, whose truth comes weeks late and cancellations first: soft rows keep the model honest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.source import read_files
from whorl.spec import load_spec

SPEC = Path(__file__).parents[2] / "examples" / "hotel" / "flywheel.toml"


def test_late_truth_is_learnt_from_without_believing_it_too_soon(whorl_data: Path) -> None:
    bookings = whorl_data / "hotel_bookings_late_label" / "hotel_bookings.parquet"
    span = Span(datetime(2015, 10, 1, tzinfo=UTC), datetime(2015, 12, 30, tzinfo=UTC), timedelta(days=30))
    report = replay({"flywheel": load_spec(SPEC)}, read_files([bookings]), span, baselines=("all",))
    ours, known_today = (report["arms"][name]["mean_of_periods"] for name in ("flywheel", "all"))
    assert report["arms"]["flywheel"]["labels_used"] <= 1000
    assert ours["auc"] > 0.90
    assert ours["log_loss"] < 0.40
    assert known_today["log_loss"] > ours["log_loss"] + 0.1
