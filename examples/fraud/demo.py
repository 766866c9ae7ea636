"""Turn the flywheel on card payments whose fraud keeps changing, beside what is commonly done."""

from datetime import timedelta
from pathlib import Path

import stream

from whorl.cli.replayed import print_replayed
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.report_page import write_html
from whorl.replay.source import read_tables
from whorl.spec import load_spec

drawn = stream.generate()
start = stream.START + timedelta(days=30)
report = replay(
    {"flywheel": load_spec(Path(__file__).with_name("flywheel.toml"))},
    read_tables(drawn.payments.drop_columns(stream.ORACLE), drawn.labels),
    Span(start, start + timedelta(weeks=12), every=timedelta(weeks=1)),
    act=stream.act,
    truth=stream.truth(drawn.payments),
    progress=stream.tell,
)
print_replayed(report)
write_html(report, Path("demo-report.html"))
print(f"\nThe report with pictures: {Path('demo-report.html').absolute()}")
