"""What the flywheel refuses to learn from: a labelling job that lies, and a column that knows the answer."""

from datetime import timedelta
from pathlib import Path

import stream
from msgspec.structs import replace

from whorl.errors import TooFewRows
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.source import read_tables
from whorl.spec import load_spec

drawn, broken = stream.generate(), stream.START + timedelta(days=90)
spec = load_spec(Path(__file__).with_name("flywheel.toml"))
told = {"act": stream.act, "truth": stream.truth(drawn.payments), "baselines": ()}
week = timedelta(weeks=1)

print("\nA labelling job breaks and calls honest grocer payments fraud:")
read = read_tables(
    drawn.payments.drop_columns(stream.ORACLE), stream.flip_labels(drawn.payments, drawn.labels, since=broken)
)
played = replay({"flywheel": spec}, read, Span(broken - week, broken + 2 * week, week), **told)
for period in played["arms"]["flywheel"]["periods"]:
    print(f"  {period['from'][:10]}  {period['decision']}: {period['reason']}")

print("\nSomebody backfills a column that knows the answer:")
leaky = replace(spec.schema, features={**spec.schema.features, "chargeback_flag": "bool"})
payments = stream.leak_feature(drawn.payments, drawn.labels, since=broken).drop_columns(stream.ORACLE)
try:
    span = Span(broken, broken + week, week)
    replay({"flywheel": replace(spec, schema=leaky)}, read_tables(payments, drawn.labels), span, **told)
except TooFewRows as refused:
    print(f"  {refused.message}")
