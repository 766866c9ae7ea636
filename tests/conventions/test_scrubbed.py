"""What [capture] forbids is not kept of telemetry either, whatever it becomes: paths are names of attributes or of fields."""

import json
from pathlib import Path
from typing import Any

import pytest
from exports import CALL, SPAN, SUPPORT, event, logged, rows, span, traced

from whorl.capture.flush import flush
from whorl.capture.scrub.keyed_hash import KeyedHash
from whorl.capture.scrub.scrubber import scrubber_of
from whorl.clock import SimulatedClock
from whorl.spec import parse_spec
from whorl.workspace import open_workspace

SECRET = "ann@example.org"
ASKED = '[{"role":"user","parts":[{"type":"text","content":"I am ann@example.org"}]}]'
WHOLE: dict[str, Any] = {
    **CALL,
    "user.id": SECRET,
    "session.id": SECRET,
    "app.note": SECRET,
    "gen_ai.input.messages": ASKED,
    "llm.input_messages.0.message.content": SECRET,
}
EVERY = list(WHOLE)[2:]


def everything(folder: Path, clock: SimulatedClock, capture: str, about: dict[str, Any]) -> str:
    """All that is kept of a call, a step, a message and an evaluation."""
    spec = parse_spec(SUPPORT + "[capture]\n" + capture)
    with open_workspace(spec, folder, clock=clock, mirror=False, holdout_key="ab" * 32) as ws:
        clock.move_to(clock.now().replace(minute=1))
        step = {key: value for key, value in about.items() if key != "gen_ai.operation.name"}
        traced(ws, span(about), span(step, span_id=SPAN[::-1]), resource={"service.name": SECRET})
        logged(
            ws,
            event("gen_ai.user.message", {"content": SECRET}),
            event("gen_ai.evaluation.result", about={**about, "gen_ai.evaluation.name": "e"}),
        )
        with ws.ledger.read() as conn:
            waiting = conn.exec_driver_sql("SELECT payload FROM inbox").scalars().all()
        flush(ws)
        tables = [rows(ws, table) for table in ("predictions", "feedback", "spans")]
    return f"{waiting!r} {tables!r}"


def test_without_a_word_it_is_all_kept(tmp_path: Path, clock: SimulatedClock) -> None:
    assert everything(tmp_path, clock, "", WHOLE).count(SECRET) > 10


@pytest.mark.parametrize("how", ["drop", "hash"])
def test_what_is_dropped_or_hashed_by_the_name_of_its_attribute(
    tmp_path: Path, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("WHORL_HASH_KEY", "k" * 32)
    paths = [*EVERY, "service.name", "messages"]
    kept = everything(tmp_path, clock, f"{how} = {paths}".replace("'", '"'), WHOLE)
    assert SECRET not in kept


def test_what_is_redacted_everywhere(tmp_path: Path, clock: SimulatedClock) -> None:
    kept = everything(
        tmp_path,
        clock,
        'redact = ["*"]',
        {key: WHOLE[key] for key in (*CALL, "app.note", "gen_ai.input.messages")},
    )
    assert SECRET not in kept
    assert "I am <EMAIL>" in kept


def test_a_hash_by_either_way_in_is_one(
    tmp_path: Path, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHORL_HASH_KEY", "k" * 32)
    text = (
        SUPPORT.replace("[schema]\n", '[schema]\ngroup = "user.id"\n')
        + '[capture]\nhash = ["user.id", "session"]\n'
    )
    spec = parse_spec(text)
    scrubber = scrubber_of(spec)
    assert scrubber is not None
    expected = scrubber.scrubbed({"user.id": SECRET})["user.id"]
    with open_workspace(spec, tmp_path, clock=clock, mirror=False, holdout_key="ab" * 32) as ws:
        clock.move_to(clock.now().replace(minute=1))
        traced(ws, span({**CALL, "user.id": SECRET, "session.id": SECRET}))
        flush(ws)
        (row,) = rows(ws, "predictions")
    assert (row["group_id"], row["session_id"]) == (expected, expected)


def test_without_consent_only_a_count(tmp_path: Path, clock: SimulatedClock) -> None:
    told = 'consent = "app.consent"\nconsent_required = ["predictions", "spans", "feedback"]\n'
    assert SECRET not in everything(tmp_path / "silent", clock, told, WHOLE)
    spec = parse_spec(SUPPORT + '[capture]\nconsent = "app.consent"\n')
    with open_workspace(spec, tmp_path / "counted", clock=clock, mirror=False, holdout_key="ab" * 32) as ws:
        handled = traced(ws, span({**WHOLE, "app.consent": False}), span(WHOLE, span_id=SPAN[::-1]))
        assert (handled.not_kept, handled.message) == (2, "2: there was no consent")
    assert SECRET in everything(tmp_path / "agreed", clock, told, {**WHOLE, "app.consent": True})


def test_the_step_of_a_call_has_the_consent_of_its_span(tmp_path: Path, clock: SimulatedClock) -> None:
    spec = parse_spec(SUPPORT + '[capture]\nconsent = "app.consent"\n')
    with open_workspace(spec, tmp_path, clock=clock, mirror=False, holdout_key="ab" * 32) as ws:
        traced(ws, span({**CALL, "app.consent": True}))
        flush(ws)
        assert [row["prediction_id"] for row in rows(ws, "spans")] == [
            row["id"] for row in rows(ws, "predictions")
        ]


def kept_of(
    folder: Path, clock: SimulatedClock, capture: str, about: dict[str, Any], schema: str = ""
) -> Any:
    """Session, messages and output of a call, the attributes of a step, and the session of an evaluation."""
    spec = parse_spec(SUPPORT.replace("[schema]\n", f"[schema]\n{schema}\n") + "[capture]\n" + capture)
    with open_workspace(spec, folder, clock=clock, mirror=False, holdout_key="ab" * 32) as ws:
        clock.move_to(clock.now().replace(minute=1))
        step = {**about, "gen_ai.operation.name": "invoke_agent"}
        traced(ws, span({**about, **CALL}), span(step, span_id=SPAN[::-1]))
        logged(ws, event("gen_ai.evaluation.result", about={**about, "gen_ai.evaluation.name": "e"}))
        flush(ws)
        (call,), (judged,) = rows(ws, "predictions"), rows(ws, "feedback")
        (attributes,) = [row["attributes"] for row in rows(ws, "spans") if row["prediction_id"] is None]
    return call, attributes, judged


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the hash of SECRET is."""
    monkeypatch.setenv("WHORL_HASH_KEY", "k" * 32)
    return KeyedHash(b"k" * 32).of(SECRET) or ""


@pytest.mark.parametrize("schema", ["", 'session = "session.id"'])
@pytest.mark.parametrize("paths", ['["session.id"]', '["session"]', '["session.id", "session"]'])
def test_a_session_is_hashed_once_and_alike_wherever_it_lies(
    tmp_path: Path, clock: SimulatedClock, hashed: str, paths: str, schema: str
) -> None:
    call, attributes, judged = kept_of(tmp_path, clock, f"hash = {paths}", {"session.id": SECRET}, schema)
    assert (call["session_id"], judged["session_id"]) == (hashed, hashed)
    assert json.loads(attributes)["session.id"] == hashed


def test_an_attribute_that_is_called_like_the_inside_of_a_field_is_what_is_meant(
    tmp_path: Path, clock: SimulatedClock
) -> None:
    about = {
        "gen_ai.conversation.id": "c1",
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"Hi"}]}]',
        "output.value": SECRET,
    }
    call, attributes, judged = kept_of(tmp_path, clock, 'drop = ["session.id", "output.value"]', about)
    assert (call["session_id"], call["output"], judged["session_id"]) == ("c1", "Hi", "c1")
    assert SECRET not in f"{call}{attributes}{judged}"


def test_what_hides_in_such_a_field_goes_all_the_same() -> None:
    spec = parse_spec(SUPPORT + '[capture]\ndrop = ["session.id", "output.value"]\n')
    scrubber = scrubber_of(spec)
    assert scrubber is not None
    torn = {"session": f'{{"id": "{SECRET}"', "output": f'[{{"value": "{SECRET}"'}
    assert SECRET not in str(scrubber.scrubbed(torn))
    nested = {"session": {"id": SECRET, "at": 1}, "output": {"value": SECRET, "also": 2}}
    assert scrubber.scrubbed(nested) == {"session": {"at": 1}, "output": {"also": 2}}


@pytest.mark.parametrize("path", ["messages", "messages.name"])
def test_messages_that_a_step_has_as_attributes_are_messages(
    tmp_path: Path, clock: SimulatedClock, path: str
) -> None:
    asked = f'[{{"role":"user","name":"{SECRET}","parts":[{{"type":"text","content":"x"}}]}}]'
    about = {"gen_ai.input.messages": asked, "llm.input_messages.0.message.name": SECRET, "app.note": "stays"}
    kept = kept_of(tmp_path, clock, f'drop = ["{path}"]', about)
    assert SECRET not in str(kept)
    assert json.loads(kept[1])["app.note"] == "stays"
