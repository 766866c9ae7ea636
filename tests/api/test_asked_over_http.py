"""What people are asked for, over HTTP: the rows of every draw with the truth that came, a plan, and a draw."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from whorl.api.app import make_app
from whorl.clock import SimulatedClock
from whorl.curate.ask import ask
from whorl.flywheel import open_flywheel
from whorl.serve.service import Service
from whorl.storage import api_keys, audit

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SPEC = """
name = "shop"
task = "binary"
[schema.features]
amount = "float"
[curate]
holdout_share = 0.5
ask = 10
[monitor]
metric = "accuracy"
[evaluate]
label_cost = 0.25
"""
SHOP = "/v1/flywheels/shop"
Client = TestClient[Litestar]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Four hundred predictions; ten truths were asked for in a cycle, thirty of the holdout by hand, the first of which came."""
    spec, clock = tmp_path / "flywheel.toml", SimulatedClock(NOW)
    spec.write_text(SPEC, encoding="utf-8")
    with open_flywheel(spec, workspace=tmp_path / "ws", clock=clock) as flywheel:
        flywheel.log_predictions(
            {"id": f"p{n:03d}", "time": "2026-01-02T00:00:00Z", "score": n / 400, "features": {"amount": n * 1.0}}
            for n in range(400)
        )  # fmt: skip
        flywheel.flush()
        ask(flywheel.workspace, "shop-0001", NOW, random_share=0.5)
        clock.advance(timedelta(hours=1))
        planned = flywheel.ask_holdout(labels=30, by="ann")
        flywheel.log_label(planned.picked["id"][0].as_py(), True)
        flywheel.flush()
    clock.advance(timedelta(hours=1))
    with Service([spec], tmp_path / "ws", clock=clock) as opened:
        yield opened


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with TestClient(make_app(service), base_url="http://127.0.0.1") as opened:
        yield opened


def pages(client: Client, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get(f"{SHOP}/asked", params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        params["before"] = answer.json()["next"]


def test_what_was_asked_for_is_listed_by_draw_and_purpose_with_the_truth_that_came(client: Client) -> None:
    every = pages(client, limit=7)
    assert [row["draw"] for row in every] == ["judge-0001"] * 30 + ["shop-0001"] * 10
    assert len({row["id"] for row in every}) == 40
    assert every == pages(client, limit=1000)
    assert [row["purpose"] for row in every] == ["judge"] * 30 + ["train"] * 10
    assert all(row["inputs"] == {"amount": float(row["id"][1:])} for row in every)

    (came,) = [row for row in every if row["label"] is not None]
    assert (came["label"], came["label_received_at"], came["purpose"]) == (
        True,
        "2026-01-05T01:00:00Z",
        "judge",
    )
    assert len(pages(client, waiting="true", limit=11)) == 39
    assert pages(client, purpose="train") == pages(client, draw="shop-0001") == every[30:]
    assert pages(client, draw="judge-0002") == []


def test_who_answers_is_not_told_what_the_model_said_unless_it_is_asked_for(client: Client) -> None:
    assert {row["prediction"] for row in pages(client)} == {None}
    seen = pages(client, with_prediction="true")
    assert all(row["prediction"] == float(row["id"][1:]) / 400 for row in seen)
    assert not {"probability", "stratum"} & set(seen[0])


@pytest.mark.parametrize("before", ["x", "1.5:a:b", "9" * 30 + ":a:b", "", "5", "5::", "5:a"])
def test_a_place_that_is_none(client: Client, before: str) -> None:
    answer = client.get(f"{SHOP}/asked", params={"before": before})
    error = answer.json()["error"]
    assert (answer.status_code, error["where"]) == (400, "before")
    assert error["hint"] == "Send `next` of the page before."


@pytest.mark.parametrize(
    ("route", "before"), [("cases", "nan:x"), ("cases", "0.5"), ("cases", "x"), ("datasets", "x")]
)
def test_a_place_that_is_none_in_another_list(client: Client, route: str, before: str) -> None:
    error = client.get(f"{SHOP}/{route}", params={"before": before}).json()["error"]
    assert (error["where"], error["hint"]) == ("before", "Send `next` of the page before.")


@pytest.mark.parametrize(
    "route",
    ["asked", "cases", "cycles", "datasets", "findings", "models", "labels/ambiguous", "labels/unmatched", "quality"],
)  # fmt: skip
def test_a_parameter_that_a_route_has_not_is_refused_not_left_aside(client: Client, route: str) -> None:
    answer = client.get(f"{SHOP}/{route}", params={"after": "garbage"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["where"]) == (400, "request", "after")
    assert ("before" in error["hint"]) == (route != "quality")


def test_a_plan_asks_nothing_and_a_draw_does_once(client: Client, service: Service) -> None:
    nothing_new = client.get(f"{SHOP}/holdout/plan", params={"labels": 20})
    assert (nothing_new.status_code, nothing_new.json()["error"]["code"]) == (409, "state")
    rows = [
        {"id": f"q{n}", "time": "2026-01-05T00:00:00Z", "score": n / 200, "amount": 1.0} for n in range(200)
    ]
    assert client.post(f"{SHOP}/predictions", json={"records": rows}).status_code == 202

    drawn = client.post(f"{SHOP}/holdout/ask", json={"labels": 20, "by": "bob"})
    assert drawn.status_code == 200, drawn.text
    told = drawn.json()
    assert (told["draw"], told["labels"], told["cost"], told["reason"]) == ("judge-0002", 20, 5.0, None)
    assert {row["id"][0] for row in pages(client, draw="judge-0002")} == {"q"}
    again = client.post(f"{SHOP}/holdout/ask", json={"labels": 20})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "state")
    deeds = [entry for entry in audit.entries(service.ledger, "shop") if entry.action == "holdout.ask"]
    assert [(deed.by, deed.body) for deed in deeds] == [
        ("bob", {"draw": "judge-0002", "labels": 20}), ("ann", {"draw": "judge-0001", "labels": 30}),
    ]  # fmt: skip


def test_a_plan_by_precision(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC.replace("label_cost = 0.25\n", ""), encoding="utf-8")
    with open_flywheel(spec, workspace=tmp_path / "ws") as flywheel:
        flywheel.log_predictions(
            {"id": f"p{n}", "time": "2026-01-02T00:00:00Z", "score": n / 400, "amount": 1.0}
            for n in range(400)
        )
        flywheel.flush()
    with (
        Service([spec], tmp_path / "ws") as service,
        TestClient(make_app(service), base_url="http://127.0.0.1") as client,
    ):
        told = client.get(f"{SHOP}/holdout/plan", params={"precision": 0.08}).json()
        assert told["precision"] <= 0.08
        assert 20 < told["labels"] < told["rows"]
        assert (told["cost"], told["reason"]) == (
            None,
            "[evaluate] label_cost is not set: the price is not known.",
        )
        assert client.get(f"{SHOP}/asked").json() == {"items": [], "next": None}
        assert client.get(f"{SHOP}/holdout/plan", params={"labels": 5, "precision": 0.1}).status_code == 409
        for wrong, status in (({"labels": 0}, 400), ({"precision": "x"}, 400), ({"precision": 1}, 409)):
            assert client.get(f"{SHOP}/holdout/plan", params=wrong).status_code == status, wrong
            assert client.post(f"{SHOP}/holdout/ask", json=wrong).status_code == status, wrong
        assert client.get(f"{SHOP}/holdout/plan", params={"precision": "nan"}).status_code == 409
        assert client.get(f"{SHOP}/holdout/plan").status_code == 409, "nothing may be spent"
        one = client.get(f"{SHOP}/holdout/plan", params={"labels": 1}).json()
        assert isinstance(one["precision"], float)


def test_a_key_that_reads_may_look_and_one_that_operates_may_ask(client: Client, service: Service) -> None:
    keys = {
        scope: {"Authorization": f"Bearer {api_keys.create(service.ledger, flywheel='shop', scopes=[scope], name='', by='ann')[1]}"}
        for scope in ("read", "operate")
    }  # fmt: skip
    assert client.get(f"{SHOP}/asked", headers=keys["read"]).status_code == 200
    assert client.get(f"{SHOP}/asked", headers=keys["operate"]).status_code == 403
    assert client.post(f"{SHOP}/holdout/ask", headers=keys["read"], json={"labels": 5}).status_code == 403
    assert client.post(f"{SHOP}/holdout/ask", headers=keys["operate"], json={"labels": 5}).status_code == 409
