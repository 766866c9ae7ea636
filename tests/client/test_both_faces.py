"""What is written for the embedded flywheel runs against a server: the same names, called alike, with the same answers."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

import whorl
from whorl.api.app import make_app
from whorl.capture.flush import flush
from whorl.client.client import Client
from whorl.client.losses import Stats
from whorl.errors import NotFound, RecordError, ServerError, StateError, WhorlError, error_of
from whorl.flywheel import Flywheel
from whorl.models.model import folder_digest
from whorl.serve.service import Service

SPEC = """
name = "shop"
task = "binary"
[schema]
id = "order.id"
time = "at"
group = "user"
label = "truth"
[schema.features]
amount = "float"
city = "category"
[release]
via = "serve"
"""
ASKS = """[capture]
consent = "ok"
"""
# A server's cycles and champions are the matter of those who run it: by its routes, or `whorl` beside it.
OF_WHO_RUNS_IT = {
    "run_cycle", "approve", "reject", "submit", "cancel", "promote", "rollback", "status", "plan_holdout", "ask_holdout",
    "withdraw_holdout",
    "insights", "asked", "quality", "coverage",
}  # fmt: skip
OF_WHO_IS_FAR = {"log_call"}


def verbs(face: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(face, callable) if not name.startswith("_")}


def test_each_has_the_verbs_of_the_other() -> None:
    assert verbs(Flywheel) - verbs(Client) == OF_WHO_RUNS_IT
    assert verbs(Client) - verbs(Flywheel) == OF_WHO_IS_FAR


@pytest.mark.parametrize("verb", sorted(verbs(Flywheel) & verbs(Client)))
def test_a_verb_is_called_alike(verb: str) -> None:
    embedded, client = (inspect.signature(getattr(face, verb)).parameters for face in (Flywheel, Client))
    assert dict(client) == dict(embedded)


@pytest.fixture
def service(tmp_path: Path, constant_model: Any) -> Iterator[Service]:
    (tmp_path / "shop.toml").write_text(SPEC)
    with Service([tmp_path / "shop.toml"], tmp_path / "ws") as opened:
        ws = opened.wheel("shop").ws
        folder = constant_model(tmp_path / "model", ws.spec, 0.25)
        version = ws.registry.register(folder, trainer="test", digest=folder_digest(folder))
        ws.registry.point("champion", version.id, by="test", reason="")
        yield opened


@contextmanager
def far(service: Service, tmp_path: Path) -> Iterator[Client]:
    with TestClient(make_app(service), base_url="http://127.0.0.1") as inside:

        def through(request: httpx.Request) -> httpx.Response:
            answer = inside.send(request)
            return httpx.Response(answer.status_code, content=answer.content)

        client = whorl.connect(
            "http://127.0.0.1", flywheel="shop", spool=tmp_path / "spool", linger_s=0.01,
            transport=httpx.MockTransport(through),
        )  # fmt: skip
        yield client
        client.close(10)


@pytest.fixture
def faces(service: Service, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Both, of one flywheel."""
    with far(service, tmp_path) as client:
        yield {"embedded": Flywheel(service.wheel("shop").ws), "far": client}


def test_many_at_once(faces: dict[str, Any], service: Service) -> None:
    for name, face in faces.items():
        face.log_predictions({"order": {"id": f"{name}{n}"}, "amount": n} for n in range(3))
        face.log_labels([{"order": {"id": f"{name}0"}, "truth": True, "label_time": "2026-01-01T00:00:00Z"}])
    assert faces["far"].flush(30)
    ws = service.wheel("shop").ws
    flush(ws)
    found = {
        table: ws.engine.query(f"SELECT * FROM {ws.lake.relation(table)} ORDER BY 1")  # type: ignore[arg-type]
        for table in ("predictions", "labels")
    }
    assert found["predictions"]["id"].to_pylist() == [f"{name}{n}" for name in faces for n in range(3)]
    assert found["labels"]["prediction_id"].to_pylist() == ["embedded0", "far0"]


@pytest.mark.parametrize("name", ["embedded", "far"])
def test_one_program_runs_on_either(tmp_path: Path, name: str) -> None:
    async def program(opened: Any) -> Stats:
        async with opened as face:
            face.log_prediction({"order": {"id": "a"}, "amount": 1, "ok": True})
            bad, unasked = ({"order": {"id": "b"}, "amount": "much", "ok": True}, {"order": {"id": "c"}})
            face.log_predictions([bad, unasked])
            face.log_feedback("a", "thumbs", 1)
            assert face.flush(timeout=30) is True
            assert face.flush() is True
            face.close(timeout=10)
        stats: Stats = face.stats()
        return stats

    (spec := tmp_path / "shop.toml").write_text(SPEC + ASKS)
    if name == "embedded":
        stats = asyncio.run(program(whorl.open(spec, workspace=tmp_path / "ws")))
    else:
        with Service([spec], tmp_path / "ws") as service, far(service, tmp_path) as client:
            stats = asyncio.run(program(client))
    assert (stats.logged, stats.sent, stats.refused, stats.without_consent) == (4, 2, 1, 1)
    assert (stats.dropped, stats.waiting) == ({}, 0)


def test_both_answer_alike(faces: dict[str, Any], service: Service) -> None:
    asked = {"amount": 2.0, "city": "a", "user": "u_1"}
    answers = {}
    for name, face in faces.items():
        assert face.predict(asked) == face.predict(asked, id=f"{name}-1")
        answers[name] = face.predict({"amount": 3.0}, id=f"{name}-2", group="u_2")
    assert answers["embedded"] == answers["far"]
    assert set(answers["far"]) == {"score", "model_version"}
    ws = service.wheel("shop").ws
    flush(ws)
    columns = "id, group_id, f_amount, f_city, score, model_version, split"
    rows = ws.engine.query(f"SELECT {columns} FROM {ws.lake.relation('predictions')} ORDER BY id").to_pylist()
    assert [row.pop("id") for row in rows] == ["embedded-1", "embedded-2", "far-1", "far-2"]
    assert rows[:2] == rows[2:]
    assert [row["group_id"] for row in rows[:2]] == ["u_1", "u_2"]


@pytest.mark.parametrize("name", ["embedded", "far"])
def test_what_cannot_be_answered_raises(faces: dict[str, Any], name: str) -> None:
    with pytest.raises(WhorlError, match="'amount'"):
        faces[name].predict({"amount": "much"}, id="a")


def answering(say: Callable[[httpx.Request], httpx.Response]) -> Client:
    return whorl.connect("http://127.0.0.1:9", flywheel="f", spool="off", transport=httpx.MockTransport(say))


def test_what_the_server_says_is_raised_as_its_error() -> None:
    fault = {
        "code": "not_found",
        "message": "There is no flywheel 'f'.",
        "where": "f",
        "hint": "Known: shop.",
    }
    say = answering(lambda _: httpx.Response(404, json={"error": fault}))
    with say as client, pytest.raises(NotFound) as raised:
        client.predict({"amount": 1.0})
    assert raised.value.as_dict() == fault
    assert raised.value.facts["status"] == 404


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, content=b"<html>"),
        httpx.Response(401, json={"error": {"code": "key", "message": "An API key is needed."}}),
        httpx.Response(200, json=[1]),
        httpx.Response(500, json={"error": "no"}),
    ],
)
def test_what_is_no_answer_is_said(answer: httpx.Response) -> None:
    with answering(lambda _: answer) as client, pytest.raises(ServerError) as raised:
        client.predict({"amount": 1.0})
    assert raised.value.facts["status"] == answer.status_code
    assert raised.value.message


def test_nobody_there_closed_and_not_to_be_written() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens", request=request)

    with answering(down) as client:
        with pytest.raises(ServerError, match="did not answer"):
            client.predict({"amount": 1.0})
        with pytest.raises(RecordError, match="JSON"):
            client.predict({"amount": "\ud800"})
    with pytest.raises(StateError, match="closed"):
        client.predict({"amount": 1.0})


def test_every_code_has_its_error() -> None:
    assert error_of("record") is RecordError
    assert error_of("version") is not None
    assert error_of("none") is None
    assert issubclass(error_of("leak") or Exception, WhorlError)
