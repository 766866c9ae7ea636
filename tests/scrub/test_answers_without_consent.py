"""Who asks the champion without consent is answered, in the words that the model was taught, and leaves only a count."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from whorl.api.app import make_app
from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.errors import SpecError
from whorl.models.model import folder_digest
from whorl.records import Accepted
from whorl.serve.service import Service

SPEC = """
name = "desk"
task = "binary"
[schema.features]
amount = "float"
city = "category"
[release]
via = "serve"
[capture]
consent = "ok"
hash = ["city"]
"""
PREDICT = "/v1/flywheels/desk/predict"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constant_model: Any) -> Iterator[Service]:
    monkeypatch.setenv("WHORL_HASH_KEY", "k" * 16)
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC)
    with Service([spec], tmp_path / "ws") as opened:
        ws = opened.wheel("desk").ws
        folder = constant_model(tmp_path / "model", ws.spec, 0.25)
        version = ws.registry.register(folder, trainer="test", digest=folder_digest(folder))
        ws.registry.point("champion", version.id, by="test", reason="")
        yield opened


def test_it_is_answered_and_not_logged(service: Service) -> None:
    ws = service.wheel("desk").ws
    records = [{"id": "a", "amount": 1, "city": "Rome", "ok": True}, {"id": "b", "amount": 1, "city": "Rome"}]
    with TestClient(make_app(service), base_url="http://127.0.0.1") as client:
        answer = client.post(PREDICT, json={"records": records}).json()
        alone = client.post(PREDICT, json=records[1])
    assert [one["id"] for one in answer["answers"]] == ["a", "b"]
    assert answer["notes"] == ["1 answer(s) were not logged: there was no consent."]
    assert alone.json()["id"] == "b"
    flush(ws)
    (row,) = ws.engine.query(f"SELECT id, f_city FROM {ws.lake.relation('predictions')}").to_pylist()
    assert row["id"] == "a"
    assert row["f_city"].startswith("hmac:")


def test_what_is_not_kept_is_counted(service: Service) -> None:
    record = {"time": "2026-01-01T00:00:00Z", "amount": 1, "ok": 1}
    ws = service.wheel("desk").ws
    batch = [{**record, "id": "a"}, {**record, "id": "b", "ok": "no"}, {**record, "id": "c", "amount": "x"}]
    for copies in (1, 50):
        answer = accept(ws, "predictions", batch * copies)
        assert isinstance(answer, Accepted)
        assert (answer.accepted, answer.without_consent, len(answer.refused)) == (copies, copies, copies)
        assert f"{copies} record(s) were not kept: there was no consent." in answer.notes


def test_a_server_without_its_key_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHORL_HASH_KEY", raising=False)
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC)
    with pytest.raises(SpecError, match="needs a key"):
        Service([spec], tmp_path / "ws")
