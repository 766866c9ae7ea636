"""The champion answers, logs what it said, and is swapped under load without a failed request."""

import threading
from time import perf_counter, sleep
from typing import Any

import httpx
import pytest
from server_process import Promote

from whorl.release.release import rollback
from whorl.workspace import Workspace

PREDICT = "/v1/flywheels/fraud/predict"
ROW = {"amount": 150.75, "merchant": "a"}
SOON_S = 1.0


def answer(http: httpx.Client) -> dict[str, Any]:
    got = http.post(PREDICT, json=ROW)
    assert got.status_code == 200, got.text
    return got.json()


def test_without_a_champion_it_says_what_to_do(http: httpx.Client) -> None:
    got = http.post(PREDICT, json=ROW)
    assert got.status_code == 503
    assert got.json()["error"]["message"] == "There is no champion yet."
    assert "whorl cycle run" in got.json()["error"]["hint"]


def test_it_answers_in_the_companys_shape_and_logs(
    http: httpx.Client, promote: Promote, beside: Workspace
) -> None:
    version = promote(0.25)
    got = http.post(PREDICT, json={"transaction_id": "mine", "timestamp": "2026-01-01T00:00:00Z", **ROW})
    assert got.json() == {"id": "mine", "model_version": version.id, "score": pytest.approx(0.25, abs=1e-3)}
    without_id = http.post(PREDICT, json=ROW).json()
    several = http.post(
        PREDICT,
        json={"records": [{**ROW, "transaction_id": "b1"}, {"amount": "x"}, {"transaction_id": "b2", **ROW}]},
    )
    assert several.status_code == 200
    assert [a["id"] for a in several.json()["answers"]] == ["b1", "b2"]
    assert [r["index"] for r in several.json()["refused"]] == [1]
    logged = eventually_in_lake(beside, {"mine", without_id["id"], "b1", "b2"})
    assert {row["model_version"] for row in logged.values()} == {version.id}
    assert all(
        row["score"] == pytest.approx(0.25, abs=1e-3) and row["latency_ms"] > 0 for row in logged.values()
    )
    assert logged["mine"]["f_amount"] == 150.75


def test_nothing_to_predict_from_is_refused(http: httpx.Client, promote: Promote) -> None:
    promote(0.3)
    got = http.post(PREDICT, json={"transaction_id": "x", "note": 1})
    assert got.status_code == 422
    assert "amount, merchant" in got.json()["error"]["hint"]


def test_a_swap_and_a_rollback_under_load_fail_no_request(
    http: httpx.Client, promote: Promote, beside: Workspace
) -> None:
    first = promote(0.1)
    wait_for(http, first.id)
    over, failures, seen = threading.Event(), list[str](), list[str]()

    def load() -> None:
        with httpx.Client(base_url=str(http.base_url), trust_env=False, timeout=30) as client:
            while not over.is_set():
                got = client.post(PREDICT, json=ROW)
                if got.status_code != 200:
                    failures.append(got.text)
                else:
                    body = got.json()
                    seen.append(body["model_version"])
                    if round(body["score"], 2) not in (0.1, 0.9):
                        failures.append(got.text)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    second = promote(0.9)
    took_swap = wait_for(http, second.id)
    rollback(beside, by="test", reason="from another process")
    took_back = wait_for(http, first.id)
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {first.id, second.id} <= set(seen)
    print(f"swap seen after {took_swap:.2f} s, rollback after {took_back:.2f} s, {len(seen)} answers")


def test_a_version_can_be_promoted_and_rolled_back_over_http(http: httpx.Client, promote: Promote) -> None:
    old, new = promote(0.4), promote(0.6)
    wait_for(http, new.id)
    back = http.post("/v1/flywheels/fraud/models/rollback", json={"by": "ann", "reason": "complaints"})
    assert (back.status_code, back.json()["version"]) == (200, old.id)
    wait_for(http, old.id)
    forth = http.post(f"/v1/flywheels/fraud/models/{new.version}/promote", json={"by": "ann"})
    assert (forth.status_code, forth.json()["version"]) == (200, new.id)
    wait_for(http, new.id)
    page = http.get("/v1/flywheels/fraud/models?limit=1").json()
    assert [(m["model"]["id"], m["alias"], m["answers_here"]) for m in page["items"]] == [
        (new.id, "champion", True)
    ]
    older = http.get(f"/v1/flywheels/fraud/models?before={page['next']}").json()["items"]
    assert older[0]["model"]["id"] == old.id
    missing = http.post("/v1/flywheels/fraud/models/999/promote", json={"by": "ann"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def wait_for(http: httpx.Client, version: str) -> float:
    """Ask until this version answers; returns the seconds it took."""
    began = perf_counter()
    while answer(http)["model_version"] != version:
        assert perf_counter() - began < 10 * SOON_S, "the pointer is not followed"
    return perf_counter() - began


def eventually_in_lake(ws: Workspace, ids: set[str]) -> dict[str, Any]:
    began = perf_counter()
    while perf_counter() - began < 60:
        rows = ws.engine.query(f"SELECT * FROM {ws.lake.relation('predictions')}").to_pylist(
            maps_as_pydicts="lossy"
        )
        found = {row["id"]: row for row in rows if row["id"] in ids}
        if set(found) == ids:
            return found
        sleep(0.1)
    raise AssertionError(f"{ids} are not in the lake; the inbox holds {ws.inbox.depth(ws.name)}")
