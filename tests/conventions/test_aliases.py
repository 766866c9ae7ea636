"""Every attribute of the alias table becomes what the table says, and the page shows the table that there is."""

import json
from pathlib import Path
from typing import Any

import pytest
from alias_table import END, START, alias_table
from exports import SPAN, event, logged, rows, span, traced

from whorl.capture.conventions.aliases import ALIASES, VERSION
from whorl.capture.flush import flush
from whorl.workspace import Workspace

PAGE = Path(__file__).parents[2] / "docs" / "otlp.md"
PLAIN = ("input_tokens", "output_tokens", "cost_usd", "model_version", "session", "group", "id")
COLUMNS = {"session": "session_id", "group": "group_id"}
SIMPLE = [
    (alias.becomes, key)
    for alias in ALIASES.values()
    for key in alias.keys
    if alias.becomes in PLAIN or alias.becomes.startswith("extra.")
]
JUDGED = [
    (alias.becomes, key)
    for alias in ALIASES.values()
    for key in alias.keys
    if alias.becomes.startswith("feedback.")
]


@pytest.mark.parametrize(("becomes", "key"), SIMPLE)
def test_an_attribute_of_a_call(ws: Workspace, becomes: str, key: str) -> None:
    told: Any = {"extra.operation": "chat", "cost_usd": 0.25}.get(becomes, 3 if "tokens" in becomes else "x")
    about = {"gen_ai.operation.name": "chat"} if becomes != "extra.operation" else {}
    traced(ws, span({**about, key: told}))
    flush(ws)
    (row,) = rows(ws, "predictions")
    extra = json.loads(row["extra"])
    field = becomes.removeprefix("extra.")
    assert (extra[field] if field != becomes else row[COLUMNS.get(field, field)]) == told
    assert key not in extra
    assert (extra["conventions"], extra["span_id"]) == (VERSION, SPAN)


@pytest.mark.parametrize(("becomes", "key"), JUDGED)
def test_an_attribute_of_an_evaluation(ws: Workspace, becomes: str, key: str) -> None:
    told: Any = "human" if becomes == "feedback.kind" else 0.5 if key.endswith(("score", ".value")) else "x"
    about = {} if becomes == "feedback.name" else {"gen_ai.evaluation.name": "relevance"}
    logged(ws, event("gen_ai.evaluation.result", about={**about, key: told}))
    flush(ws)
    (row,) = rows(ws, "feedback")
    found = row[becomes.removeprefix("feedback.")]
    assert (json.loads(found) if becomes == "feedback.value" else found) == (
        "HUMAN" if told == "human" else told
    )


def test_the_newest_name_counts_and_none_is_kept_twice(ws: Workspace) -> None:
    about = {"gen_ai.operation.name": "chat", "gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.input_tokens": 2}
    traced(ws, span(about))
    flush(ws)
    (row,) = rows(ws, "predictions")
    assert row["input_tokens"] == 2
    assert not [key for key in json.loads(row["extra"]) if "tokens" in key]


def test_the_page_shows_the_table() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    assert shown.strip() == alias_table()
