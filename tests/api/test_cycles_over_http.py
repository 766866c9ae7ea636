"""Cycles over HTTP, and beside the server: who starts, who answers, and that the server goes on by itself."""

from threading import Event
from time import monotonic
from typing import Any

import httpx

from whorl.storage import cycles
from whorl.workspace import Workspace

FLYWHEEL = "/v1/flywheels/fraud"
BY_ANN = {"by": "ann", "reason": "looked at it"}


def when(http: httpx.Client, cycle_id: str, *states: str) -> dict[str, Any]:
    """The cycle, once it is in one of these states."""
    until = monotonic() + 60
    while True:
        shown = http.get(f"{FLYWHEEL}/cycles/{cycle_id}").json()
        if shown["cycle"]["state"] in states:
            return shown
        assert monotonic() < until, shown
        Event().wait(0.05)


def test_a_cycle_is_started_stopped_before_training_and_answered(
    http: httpx.Client, beside: Workspace
) -> None:
    rows = [
        {
            "transaction_id": f"t{i}", "timestamp": f"2026-01-{1 + i % 28:02}T00:00:00Z", "user_id": f"u{i}",
            "amount": i, "merchant": "a", "prediction": {"fraud_probability": 0.5},
            "ground_truth": {"is_fraud": i % 3 == 0},
        }
        for i in range(600)
    ]  # fmt: skip
    assert http.post(f"{FLYWHEEL}/predictions", json={"records": rows}).status_code == 202

    started = http.post(f"{FLYWHEEL}/cycles")
    assert started.status_code == 202
    first = started.json()["id"]
    waiting = when(http, first, "waiting", "failed")
    assert waiting["cycle"]["waiting_for"]["what"] == "approval", waiting
    assert (waiting["steps"][0]["name"], waiting["steps"][-1]["name"]) == ("flush", "datasets")
    assert http.get(FLYWHEEL).json()["needs"]

    another = http.post(f"{FLYWHEEL}/cycles")
    assert (another.status_code, another.json()["error"]["code"]) == (409, "state")
    not_asked = http.post(f"{FLYWHEEL}/cycles/{first}/submit", json={"kind": "model", "uri": "x"})
    assert (not_asked.status_code, not_asked.json()["error"]["code"]) == (409, "state")

    assert http.post(f"{FLYWHEEL}/cycles/{first}/reject", json=BY_ANN).status_code == 202
    assert "ann declined training" in when(http, first, "rejected")["cycle"]["error"]["message"]
    assert http.post(f"{FLYWHEEL}/cycles/{first}/approve", json=BY_ANN).status_code == 409

    second = http.post(f"{FLYWHEEL}/cycles").json()["id"]
    when(http, second, "waiting")
    cycles.decide(beside.ledger, "fraud", second, "approve", "bob", "from another process")
    ended = when(http, second, "finished", "held", "rejected", "failed", "waiting")
    assert len(ended["steps"]) >= 3


def test_lists_come_in_pages(http: httpx.Client) -> None:
    page = http.get(f"{FLYWHEEL}/cycles?limit=1").json()
    assert [c["number"] for c in page["items"]] == [2]
    older = http.get(f"{FLYWHEEL}/cycles?limit=1&before={page['next']}").json()
    assert [c["number"] for c in older["items"]] == [1]
    assert older["next"] is None

    datasets = http.get(f"{FLYWHEEL}/datasets?limit=1").json()
    assert datasets["items"][0]["rows"] > 0
    older = http.get(f"{FLYWHEEL}/datasets", params={"before": datasets["next"]}).json()["items"]
    assert older
    assert datasets["items"][0]["id"] not in {d["id"] for d in older}

    seen: list[str] = []
    params: dict[str, Any] = {"limit": 70, "cycle": "fraud-0001"}
    while True:
        cases = http.get(f"{FLYWHEEL}/cases", params=params).json()
        seen += [case["id"] for case in cases["items"]]
        if cases["next"] is None:
            break
        params["before"] = cases["next"]
    assert len(seen) == len(set(seen)) > 70
    assert http.get(f"{FLYWHEEL}/findings").status_code == 200
