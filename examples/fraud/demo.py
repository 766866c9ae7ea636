"""Turn the flywheel on card payments whose fraud keeps changing; then see what the gates refuse."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import stream
from msgspec.structs import replace

from whorl.cli.replayed import print_replayed
from whorl.errors import TooFewRows
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.report_page import write_html
from whorl.replay.source import read_files
from whorl.spec import Spec, load_spec

SPEC = load_spec(Path(__file__).with_name("flywheel.toml"))
REPORT = Path("demo-report.html")
WEEK = timedelta(days=7)


def play(
    payments: pa.Table, labels: pa.Table, first_day: int, weeks: int, spec: Spec = SPEC, **options: object
) -> dict:
    start = stream.START + timedelta(days=first_day)
    truth = payments.select(["transaction_id", "is_fraud"]).rename_columns(["id", "label"])
    with TemporaryDirectory() as place:
        pq.write_table(payments.drop_columns(stream.ORACLE), f"{place}/payments.parquet")
        pq.write_table(labels, f"{place}/labels.parquet")
        read = read_files([Path(place, "payments.parquet")], Path(place, "labels.parquet"))
        return replay(
            {"flywheel": spec},
            read,
            Span(start, start + weeks * WEEK, WEEK),
            act=stream.act,
            truth=truth,
            **options,
        )


drawn = stream.generate()
payments, labels = drawn.payments, drawn.labels
report = play(payments, labels, first_day=30, weeks=17)
print_replayed(report)
write_html(report, REPORT)
print(f"\nThe report with pictures: {REPORT.absolute()}")

broken = stream.START + timedelta(days=90)
print("\nNow a labelling job breaks and calls honest grocer payments fraud:")
for week in play(payments, stream.flip_labels(payments, labels, since=broken), 83, 3, baselines=())["arms"][
    "flywheel"
]["periods"]:
    print(f"  {week['from'][:10]}  {week['decision']}: {week['reason']}")
print("\nAnd somebody backfills a column that knows the answer:")
leaky = replace(
    SPEC, schema=replace(SPEC.schema, features={**SPEC.schema.features, "chargeback_flag": "bool"})
)
try:
    play(stream.leak_feature(payments, labels, since=broken), labels, 90, 1, leaky, baselines=())
except TooFewRows as refused:
    print(f"  {refused}")
