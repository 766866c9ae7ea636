"""A workspace for the card payments of the README's example."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from whorl.clock import SimulatedClock
from whorl.spec import Spec, parse_spec
from whorl.workspace import Workspace, open_workspace

FRAUD = """
name = "fraud"
task = "binary"
[schema]
id = "transaction_id"
time = "timestamp"
group = "user_id"
score = "prediction.fraud_probability"
label = "ground_truth.is_fraud"
label_source = "ground_truth.labeling_source"
protected = ["age_band"]
[schema.features]
amount = "float"
merchant = "category"
visits = "int"
is_new_merchant = "bool"
[curate]
holdout_share = 0.3
"""


@pytest.fixture
def spec() -> Spec:
    return parse_spec(FRAUD)


@pytest.fixture
def ws(spec: Spec, tmp_path: Path, clock: SimulatedClock) -> Iterator[Workspace]:
    with open_workspace(spec, tmp_path / "ws", clock=clock, holdout_key="ab" * 32) as opened:
        yield opened
