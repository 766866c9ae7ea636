"""Replay two hotels' real bookings with a flywheel that may buy 500 labels a month; needs WHORL_DATA."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from whorl.cli.replayed import print_replayed
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.report_page import write_html
from whorl.replay.source import read_files
from whorl.spec import load_spec

bookings = Path(os.environ["WHORL_DATA"], "hotel_bookings_late_label", "hotel_bookings.parquet")
spec = load_spec(Path(__file__).with_name("flywheel.toml"))
span = Span(datetime(2015, 10, 1, tzinfo=UTC), datetime(2017, 3, 1, tzinfo=UTC), timedelta(days=30))
report = replay({"flywheel": spec}, read_files([bookings]), span, progress=print)
print_replayed(report)
write_html(report, Path("hotel-report.html"))
