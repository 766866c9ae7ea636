"""What a healthy server does not show: a full inbox, a ledger that fails, a defect."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient
from server_process import SPEC

from whorl.api import capture
from whorl.api.app import make_app
from whorl.api.arriving import Held
from whorl.capture.flush import flush
from whorl.errors import SpecError, StorageError, WorkspaceHeld
from whorl.serve.service import Service
from whorl.storage.inbox import Inbox

ROW = {"transaction_id": "a", "timestamp": "2026-01-01T00:00:00Z", "amount": 1}
PREDICTIONS = "/v1/flywheels/fraud/predictions"


@pytest.fixture
def spec_path(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def service(spec_path: Path, tmp_path: Path) -> Iterator[Service]:
    with Service([spec_path], tmp_path / "ws") as opened:
        yield opened


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(make_app(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_a_full_inbox_says_when_to_come_again(service: Service, client: TestClient) -> None:
    ws = service.wheel("fraud").ws
    ws.inbox.close()
    ws.inbox = Inbox(service.ledger, capacity_bytes=10)
    answer = client.post(PREDICTIONS, json=ROW)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "inbox_full")
    assert int(answer.headers["retry-after"]) > 0
    assert ws.inbox.depth("fraud").rows == 0


def test_a_ledger_that_fails_is_503_and_nothing_is_said_to_be_accepted(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StorageError("The disk is full.", where="ledger.db")

    monkeypatch.setattr(service.wheel("fraud").ws.inbox, "accept_soon", broken)
    answer = client.post(PREDICTIONS, json=ROW)
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "The disk is full.")
    assert answer.headers["retry-after"]


def test_a_defect_is_500_in_the_same_shape_without_its_insides(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret-4711")

    monkeypatch.setattr(service.wheel("fraud").ws.inbox, "accept_soon", broken)
    answer = client.post(PREDICTIONS, json=ROW)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret-4711" not in answer.text


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
def test_what_is_kept_of_a_body_counts_until_its_end(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, media: str
) -> None:
    monkeypatch.setattr(capture, "bodies", Held(10 << 20))
    headers = {"content-type": media}
    answer = client.post(PREDICTIONS, content=iter([b" " * (1 << 20)] * 13), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "inbox_full")
    assert client.post(PREDICTIONS, json=ROW).status_code == 202
    capture.bodies.change(10 << 20)


def test_a_key_is_looked_up_beside_the_event_loop(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[bool]()

    def answer_to(*_: object) -> None:
        asked.append(_in_event_loop())

    monkeypatch.setattr(service.wheel("fraud").ws.inbox, "answer_to", answer_to)
    assert client.post(PREDICTIONS, json=ROW, headers={"Idempotency-Key": "one"}).status_code == 202
    assert asked == [False]


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("path", ["predictions", "labels", "feedback"])
def test_options_takes_no_records(service: Service, client: TestClient, path: str) -> None:
    answer = client.request("OPTIONS", f"/v1/flywheels/fraud/{path}", json=ROW)
    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")
    assert service.wheel("fraud").ws.inbox.depth("fraud").rows == 0


def test_it_is_not_ready_before_its_tasks_run(service: Service, client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    service.start(stop_all=lambda: None)
    assert client.get("/readyz").status_code == 200


def test_a_workspace_has_one_server_and_a_server_no_flywheel_twice(
    service: Service, spec_path: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorkspaceHeld):
        Service([spec_path], service.root)
    with pytest.raises(SpecError, match="different names"):
        Service([spec_path, spec_path], tmp_path / "other")


def test_labels_that_wait_for_their_prediction_are_listed_in_pages(
    service: Service, client: TestClient
) -> None:
    told = [{"transaction_id": f"nobody{n}", "ground_truth": {"is_fraud": True}} for n in range(3)]
    assert client.post("/v1/flywheels/fraud/labels", json={"records": told}).status_code == 202
    flush(service.wheel("fraud").ws)
    seen, before = [], "0"
    while before is not None:
        shown = client.get("/v1/flywheels/fraud/labels/unmatched", params={"limit": 2, "before": before})
        assert shown.status_code == 200, shown.text
        seen += [label["prediction_id"] for label in shown.json()["items"]]
        before = shown.json()["next"]
    assert sorted(seen) == ["nobody0", "nobody1", "nobody2"]
    assert client.get("/v1/flywheels/fraud/labels/ambiguous").json() == {"items": [], "next": None}


def test_a_media_type_that_is_not_taken_is_told_which_are(client: TestClient) -> None:
    answer = client.post(PREDICTIONS, content=b"a=1", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    hint = answer.json()["error"]["hint"]
    assert "application/json" in hint
    assert "application/x-ndjson" in hint


def test_a_server_says_when_it_starts_that_webhooks_will_stay_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WHORL_WEBHOOK_SECRET", raising=False)
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC + '\n[monitor]\nwebhook = "https://hooks.example/x"\n')
    with Service([path], tmp_path / "ws") as opened:
        opened.start(lambda: None)
    assert "WHORL_WEBHOOK_SECRET is not set" in caplog.text
