"""Figures over all rows, asked for over HTTP: insights and why, quality by period, how much of the truth is known."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from whorl.api.app import make_app
from whorl.clock import SimulatedClock
from whorl.flywheel import open_flywheel
from whorl.serve.service import Service

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = """
name = "shop"
task = "binary"
[schema.features]
amount = "float"
place = "category"
[curate]
holdout_share = 0.9
[monitor]
metric = "brier"
"""
SHOP = "/v1/flywheels/shop"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    """Four weeks of a binary flywheel; in the last, place `q` is answered the wrong way round."""
    folder = tmp_path_factory.mktemp("figures")
    with (
        Service([_lived(folder)], folder / "ws", clock=SimulatedClock(BEGIN + timedelta(days=29))) as service,
        TestClient(make_app(service), base_url="http://127.0.0.1") as opened,
    ):
        yield opened


def _lived(folder: Path) -> Path:
    spec, random, n = folder / "flywheel.toml", np.random.default_rng(0), 1_800
    spec.write_text(SPEC, encoding="utf-8")
    chance, place = random.random(n), random.choice(list("pqr"), n)
    day = np.sort(random.uniform(0, 28, n))
    said = np.where((day > 21) & (place == "q"), 1 - chance, chance)
    rows: list[dict[str, Any]] = [
        {"id": f"r{i}", "time": BEGIN + timedelta(days=day[i]), "score": said[i], "amount": chance[i], "place": place[i]}
        for i in range(n)
    ]  # fmt: skip
    with open_flywheel(
        spec, workspace=folder / "ws", clock=SimulatedClock(BEGIN + timedelta(days=29))
    ) as flywheel:
        flywheel.log_predictions(rows)
        flywheel.log_labels(
            [
                {"prediction_id": row["id"], "value": bool(one), "time": row["time"] + timedelta(hours=12)}
                for row, one in zip(rows, random.random(n) < chance, strict=True)
            ]
        )
        flywheel.flush()
    return spec


def test_insights_name_the_slice_and_why_it_got_worse(client: TestClient[Litestar]) -> None:
    plain = client.get(f"{SHOP}/insights").json()
    assert (plain["flywheel"], plain["loss"], plain["why"]) == ("shop", "brier", None)
    assert plain["rows"] > 1_500
    assert set(plain["mean"]) == {"value", "low", "high", "n"}
    for since in ("2026-01-22T00:00:00Z", "2026-01-22T00:00:00", "2026-01-22T01:00:00+01:00"):
        why = client.get(f"{SHOP}/insights", params={"since": since}).json()["why"]
        assert (why["verdict"], why["since"]) == ("segment", "2026-01-22T00:00:00Z")
    assert (
        client.get(f"{SHOP}/insights", params={"why": "true"}).json()["why"]["since"]
        == "2026-01-23T00:00:00Z"
    )
    answer = client.get(f"{SHOP}/insights", params={"since": "yesterday"})
    assert (answer.status_code, answer.json()["error"]["where"]) == (400, "since")


def test_quality_by_period(client: TestClient[Litestar]) -> None:
    told = client.get(f"{SHOP}/quality").json()
    assert (told["metric"], told["greater_is_better"]) == ("brier", False)
    assert told["draws"] == []
    values = [one["value"] for one in told["periods"]]
    assert max(value for value in values if value is not None) > values[0] + 0.05
    for one in told["periods"]:
        assert (one["value"] is None) == (one["reason"] is not None)
        assert {"start", "rows", "low", "high", "method", "always", "smoothed"} <= set(one)


def test_coverage_of_labels(client: TestClient[Litestar]) -> None:
    told = client.get(f"{SHOP}/labels/coverage").json()
    assert (told["predictions"], told["known"], told["known_share"]) == (1_800, 1_800, 1.0)
    assert told["delays"]["true"]["p50"] == pytest.approx(0.5)
    assert told["by_age"][-1]["reason"] == "No prediction is this old."


def test_several_may_ask_at_once(client: TestClient[Litestar]) -> None:
    routes = ["insights?why=true", "quality", "labels/coverage"]
    alone = [client.get(f"{SHOP}/{route}").json() for route in routes]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda route: client.get(f"{SHOP}/{route}").json(), routes * 2))
    assert together == alone * 2


def test_no_joined_rows_are_kept_after_a_figure(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    with (
        Service([spec], tmp_path / "ws") as service,
        TestClient(make_app(service), base_url="http://127.0.0.1") as client,
    ):
        for route in ("insights", "quality", "labels/coverage"):
            client.get(f"{SHOP}/{route}")
            tables = service.wheels["shop"].ws.engine.query("SELECT table_name FROM duckdb_tables()")
            assert not [one for one in tables["table_name"].to_pylist() if one.startswith("examples_")], route


def test_what_cannot_be_told_is_refused_in_the_one_shape(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text('name = "shop"\ntask = "generation"\n[train]\ntrainer = "external"\n', encoding="utf-8")
    with (
        Service([spec], tmp_path / "ws") as service,
        TestClient(make_app(service), base_url="http://127.0.0.1") as client,
    ):
        answer = client.get(f"{SHOP}/insights")
        assert client.get("/v1/flywheels/none/quality").status_code == 404
        empty = client.get(f"{SHOP}/labels/coverage").json()
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "state")
    assert (empty["known_share"], empty["reason"]) == (None, "There are no predictions.")
