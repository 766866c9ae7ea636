"""docs/operations.md and docs/http.md name every metric, check and scope there is, and none that is not."""

import re
from pathlib import Path
from typing import Any, get_args

from litestar.testing import TestClient

from whorl.clock import RealClock
from whorl.serve.checkup.checkup import checkup
from whorl.serve.meter import COUNTERS, HISTOGRAMS
from whorl.serve.service import Service
from whorl.storage.api_keys import Scope

DOCS = Path(__file__).parents[2] / "docs"
# Said only where something is there to be said of.
SOMETIMES = {"whorl_cycle_info", "whorl_champion_info"}


def rows(page: str, heading: str) -> set[str]:
    """What stands in backticks in the first column of the tables below a heading."""
    part = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {
        name
        for cell in re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE)
        for name in re.findall(r"`(\w[\w ]*)`", cell)
    }


def test_every_metric(client: TestClient[Any]) -> None:
    text = client.get("/metrics", headers={"Host": "127.0.0.1"}).text
    there = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | {*COUNTERS, *HISTOGRAMS} | SOMETIMES
    assert rows("operations.md", "Metrics") == there


def test_every_metric_of_an_alert_is_there() -> None:
    alerts = (DOCS / "operations.md").read_text(encoding="utf-8").partition("\n## Alerts")[2]
    named = {name.removesuffix("_bucket") for name in re.findall(r"whorl_\w+", alerts)}
    assert named <= rows("operations.md", "Metrics")


def test_every_check(service: Service) -> None:
    found = {check.what for check in checkup(service.root, [service.root.parent / "fraud.toml"], RealClock())}
    assert rows("operations.md", "Doctor") == found | {"hash key"}


def test_every_scope() -> None:
    assert rows("http.md", "Who may call") - {"401", "403", "429"} == set(get_args(Scope))
