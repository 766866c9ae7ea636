"""A flywheel with something in every list: versions, a cycle that waits, cases, a dataset, findings, labels that fit nowhere."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whorl.clock import SimulatedClock
from whorl.flywheel import open_flywheel
from whorl.serve.service import Service

SPEC = """
name = "shop"
task = "binary"
automation = "approval"
[schema.keys]
order = "order"
[schema.features]
amount = "float"
place = "category"
[labels]
on = ["order"]
[release]
via = "serve"
[train]
params = { trees = 20 }
calibrate = false
[evaluate]
window = "36500d"
gates = []
"""
DAYS = 10


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Open, with nothing running in the background: what is answered depends on what was asked alone."""
    folder = tmp_path_factory.mktemp("fuzz")
    path, clock = folder / "flywheel.toml", SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
    path.write_text(SPEC, encoding="utf-8")
    _lived(path, folder / "ws", clock)
    with Service([path], folder / "ws", clock=clock) as opened:
        yield opened


def _lived(spec: Path, root: Path, clock: SimulatedClock) -> None:
    chance = random.Random(7)
    with open_flywheel(spec, workspace=root, clock=clock) as flywheel:
        for name in ("one", "two"):
            flywheel.log_prediction({"id": name, "order": "both", "amount": 1.0})
        for order in ("both", "nobody"):
            flywheel.log_label(None, True, keys={"order": order}, source="desk")
        for turn in range(2):
            for number in range(300):
                amount, at = chance.gauss(), clock.now() - timedelta(days=DAYS * chance.random())
                name = f"{turn}-{number}"
                flywheel.log_prediction(
                    {"id": name, "order": name, "amount": amount, "place": "p", "time": at}
                )
                truth = chance.random() < 1 / (1 + math.exp(-3 * amount))
                flywheel.log_label(None, truth, keys={"order": name}, source="desk", time=at)
            clock.move_to(clock.now() + timedelta(days=DAYS))
            report = flywheel.run_cycle()
            if turn == 0:
                flywheel.approve(report.id, by="ann")
                flywheel.run_cycle()
