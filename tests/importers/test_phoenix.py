"""Phoenix: rows that Phoenix 20.26.1 and its client 3.5.0 wrote, by `benchmarks/peers/phoenix_rows.py`.

What its pages and its CLI write was put together from those rows as their sources do it (Arize-ai/phoenix,
`js/app/src/components/trace/spanDownloadAnnotations.ts`, `js/packages/phoenix-cli/src/trace.ts`).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_exports import PRIVATE, SPEC

from whorl.capture.importers.exports import ingest_export
from whorl.clock import SimulatedClock
from whorl.examples.join import Examples
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace

HERE = Path(__file__).parent / "phoenix"
SPANS, SAID = HERE / "spans.jsonl", HERE / "annotations.jsonl"
ASKED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is order 17?"},
]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "find_order", "arguments": '{"order": 17}'},
}
SHOP = """
name = "shop"
task = "generation"
[schema.features]
team = { type = "category", path = "metadata.team" }
[train]
trainer = "external"
"""


@pytest.fixture(autouse=True)
def later(clock: SimulatedClock) -> None:
    """The clock stands after the rows were written."""
    clock.move_to(datetime(2026, 12, 1, tzinfo=UTC))


@pytest.fixture
def ws(tmp_path: Path, clock: SimulatedClock) -> Any:
    with open_workspace(parse_spec(SHOP), tmp_path / "ws", clock=clock, holdout_key="ab" * 32) as opened:
        yield opened


def read(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def said(found: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {(row["name"], row["kind"], row["value"], row["source"]) for row in found}


def test_model_calls_are_predictions_and_all_spans_are_steps(ws: Workspace, rows: Any) -> None:
    report = ingest_export(ws, SPANS, "phoenix")
    assert (report.accepted, report.refused, report.notes) == (4 + 7, 0, [])
    tool, answer, failed, by_hand = rows("predictions")
    assert (tool["id"], answer["id"]) == ("chatcmpl-shop1", "chatcmpl-shop2")
    for row in (failed, by_hand):
        span_id = msgspec.json.decode(row["extra"])["span_id"]
        assert row["id"] == f"{row['trace_id']}-{span_id}"
    assert msgspec.json.decode(tool["messages"]) == ASKED
    assert msgspec.json.decode(tool["output"]) == {"role": "assistant", "tool_calls": [CALL]}
    assert msgspec.json.decode(answer["messages"]) == [
        *ASKED,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Tuesday"},
    ]
    assert (answer["output"], answer["model_version"]) == ("It left on Tuesday.", "gpt-4o-mini-2024-07-18")
    assert (answer["session_id"], answer["group_id"], answer["f_team"]) == ("session-1", "user-7", "support")
    assert (answer["input_tokens"], answer["output_tokens"]) == (32, 9)
    assert 0 < answer["latency_ms"] < 1000
    assert failed["output"] is None
    assert msgspec.json.decode(failed["extra"])["exception.type"] == "openai.InternalServerError"
    assert (by_hand["cost_usd"], by_hand["output"]) == (0.0123, "A whorl.")
    steps = {(span["name"], span["prediction_id"], span["status"]) for span in rows("spans")}
    assert steps >= {("answer", None, None), ("look up", None, None), ("find_order", None, None)}
    assert ("ChatCompletion", "chatcmpl-shop2", "ok") in steps
    (root,) = [span for span in rows("spans") if span["name"] == "answer"]
    assert tool["parent_id"] == answer["parent_id"] == root["id"]
    (looked_up,) = [span for span in rows("spans") if span["name"] == "look up"]
    assert "Orders leave on Tuesdays." in looked_up["attributes"]


def test_annotations_are_feedback(ws: Workspace, rows: Any) -> None:
    report = ingest_export(ws, SAID, "phoenix")
    assert (report.accepted, report.refused) == (8, 0)
    found = {row["name"]: row for row in rows("feedback")}
    helpful, tone, short = found["helpful"], found["tone"], found["short"]
    assert (helpful["kind"], helpful["number"], helpful["comment"]) == ("HUMAN", 1.0, "Right.")
    assert helpful["source"] == "reviewer-1"
    assert msgspec.json.decode(helpful["extra"])["label"] == "yes"
    assert (tone["kind"], short["kind"]) == ("LLM_JUDGE", "CODE")
    assert msgspec.json.decode(tone["extra"])["annotation.metadata"] == {"model": "judge-1"}
    assert (found["topic"]["value"], found["note"]["comment"]) == ('"delivery"', "Ask for the day.")
    assert found["satisfied"]["session_id"] == "session-1"
    span = read(SPANS)[-1]
    assert found["complete"]["prediction_id"] == span["context"]["trace_id"]
    assert helpful["prediction_id"] == tone["prediction_id"] == short["prediction_id"]


@pytest.mark.parametrize("first", [SPANS, SAID])
def test_an_annotation_that_is_the_truth_finds_its_call(ws: Workspace, first: Path) -> None:
    for path in (first, *({SPANS, SAID} - {first})):
        ingest_export(ws, path, "phoenix", truth="topic")
    examples = Examples(ws.lake, ws.engine, ws.spec, ws.clock.now())
    known = examples.select("id, label", where="label IS NOT NULL").to_pylist()
    examples.close()
    assert known == [{"id": "chatcmpl-shop1", "label": '"delivery"'}]


def test_again_and_in_another_shape_nothing_is_doubled(ws: Workspace, tmp_path: Path, rows: Any) -> None:
    """Rows of the API, the frames as JSON and as Parquet, a page of the API, a trace of the CLI, a download of its pages."""
    spans, judged = read(SPANS), read(SAID)
    by_span = {one["span_id"]: [] for one in judged if "span_id" in one}
    for one in judged:
        if "span_id" in one:
            by_span[one["span_id"]].append(one)
    shapes: dict[str, Any] = {
        "page.json": {"data": spans, "next_cursor": None},
        "annotations.json": {"data": judged, "next_cursor": None},
        "traces.json": [as_cli(trace, spans, by_span, judged) for trace in traces_of(spans)],
        "spans.json": [{**span, "annotations": by_span.get(span["context"]["span_id"])} for span in spans],
        "download.jsonl": [as_page(span, by_span) for span in spans],
    }
    ingest_export(ws, SPANS, "phoenix")
    ingest_export(ws, SAID, "phoenix")
    for name, content in shapes.items():
        path = tmp_path / name
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))
        if name.endswith("jsonl"):
            path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in content))
        report = ingest_export(ws, path, "phoenix")
        edited = 1 if name == "download.jsonl" else 0  # it does not say when: see docs/import.md
        assert (name, report.accepted, report.refused) == (name, edited, 0)
    for name in ("spans_frame", "annotations_frame"):
        for path in (HERE / f"{name}.jsonl", parquet(HERE / f"{name}.jsonl", tmp_path)):
            report = ingest_export(ws, path, "phoenix")
            assert (path.suffix, report.accepted, report.refused) == (path.suffix, 0, 0)
    assert (len(rows("predictions")), len(rows("spans"))) == (4, 7)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_data_frames_hold_the_same(ws: Workspace, tmp_path: Path, clock: Any, suffix: str) -> None:
    """To the millisecond, and without events, by pandas' default for JSON."""
    for name in ("spans_frame", "annotations_frame"):
        path = HERE / f"{name}.jsonl"
        ingest_export(ws, path if suffix == ".jsonl" else parquet(path, tmp_path), "phoenix")
    with open_workspace(parse_spec(SHOP), tmp_path / "other", clock=clock) as other:
        ingest_export(other, SPANS, "phoenix")
        ingest_export(other, SAID, "phoenix")

        def of(table: Any, *columns: str) -> Any:
            query = f"SELECT {', '.join(columns)} FROM {{}} ORDER BY ALL"
            mine, theirs = (
                one.engine.query(query.format(one.lake.relation(table))).to_pylist() for one in (ws, other)
            )
            return mine, theirs

        calls = ("id", "messages", "output", "model_version", "input_tokens", "output_tokens", "cost_usd")
        mine, theirs = of("predictions", *calls, "session_id", "group_id", "parent_id", "f_team")
        assert mine == theirs
        mine, theirs = of("spans", "id", "trace_id", "parent_id", "prediction_id", "name", "status")
        assert mine == theirs
        mine, theirs = of("feedback", "id", "prediction_id", "name", "value", "kind", "comment", "time")
        # The client's frame has what was said of spans, without notes.
        assert [one for one in theirs if one["name"] not in ("complete", "satisfied", "note")] == mine


def test_an_annotation_that_was_edited_is_a_further_record(ws: Workspace, lines: Any, rows: Any) -> None:
    (one,) = [row for row in read(SAID) if row["name"] == "helpful"]
    ingest_export(ws, lines(one), "phoenix")
    changed = {**one, "updated_at": "2026-11-25T10:00:00+00:00", "result": {"score": 0.0, "label": "no"}}
    back = {**one, "updated_at": "2026-11-26T10:00:00+00:00"}
    for edit in (changed, back, changed):
        ingest_export(ws, lines(edit), "phoenix")
    assert [row["number"] for row in rows("feedback")] == [1.0, 0.0, 1.0]


def test_servers_that_count_alike_do_not_meet(ws: Workspace, lines: Any, rows: Any) -> None:
    (one,) = [row for row in read(SAID) if row["name"] == "helpful"]
    ingest_export(ws, lines(one, {**one, "span_id": "00f067aa0ba902b7"}), "phoenix")
    assert len(rows("feedback")) == 2


def test_what_may_not_be_kept_is_not(tmp_path: Path, clock: SimulatedClock, lines: Any) -> None:
    def span(number: int, consent: str) -> dict[str, Any]:
        attributes = {
            "input.value": f"I am u{number}@example.org",
            "metadata": msgspec.json.encode({"consent": consent}).decode(),
            "metadata.consent": consent,
            "metadata.secret": "xyzzy",
            "output.value": "Hello.",
            "annotations.0.annotation.name": "tone",
            "annotations.0.annotation.label": f"said of {number}",
            "annotations.0.annotation.annotator_kind": "HUMAN",
        }
        (made,) = [one for one in read(SPANS) if one["name"] == "by hand"]
        context = {**made["context"], "span_id": f"{number:016x}"}
        return {**made, "context": context, "attributes": {**made["attributes"], **attributes}}

    with open_workspace(parse_spec(SPEC + PRIVATE), tmp_path / "ws", clock=clock) as ws:
        report = ingest_export(ws, lines(span(1, "yes"), span(2, "no")), "phoenix")
        found = [
            ws.engine.query(f"SELECT * FROM {ws.lake.relation(table)}").to_pylist()
            for table in ("predictions", "spans", "feedback")
        ]
    assert [len(one) for one in found] == [1, 1, 1]
    assert "1 record(s) were not kept: there was no consent." in report.notes
    kept = b"".join(file.read_bytes() for file in (tmp_path / "ws").rglob("*") if file.is_file())
    for word in (b"xyzzy", b"said of 2"):
        assert word not in kept


def test_rows_that_are_none_of_its_are_listed(ws: Workspace, lines: Any) -> None:
    good, late = read(SPANS)[0], {**read(SPANS)[1], "start_time": "yesterday"}
    report = ingest_export(
        ws, lines({"hello": 1}, {"context": {"x": 1}}, good, {"annotator_kind": "HUMAN"}, late), "phoenix"
    )
    assert [(one.index, one.code) for one in report.rejects] == [
        (1, "unknown"),
        (2, "shape"),
        (4, "shape"),
        (5, "time"),
    ]
    assert "reset_index" in report.rejects[2].hint
    assert report.accepted > 0


def traces_of(spans: list[dict[str, Any]]) -> set[str]:
    return {span["context"]["trace_id"] for span in spans}


def as_cli(trace: str, spans: Any, by_span: Any, judged: Any) -> dict[str, Any]:
    """A trace as `px trace list --include-annotations --include-notes` writes it."""
    inside = []
    for span in (one for one in spans if one["context"]["trace_id"] == trace):
        found = by_span.get(span["context"]["span_id"], [])
        notes = [one for one in found if one["name"] == "note"]
        inside.append({**span, "annotations": [one for one in found if one not in notes], "notes": notes})
    own = [one for one in judged if one.get("trace_id") == trace]
    return {"traceId": trace, "spans": inside, "rootSpan": inside[-1], "annotations": own}


def as_page(span: dict[str, Any], by_span: Any) -> dict[str, Any]:
    """A span as the pages download it: what was said of it lies among its attributes, without its id and time."""
    attributes = dict(span["attributes"])
    found = [one for one in by_span.get(span["context"]["span_id"], []) if one["name"] != "note"]
    for number, one in enumerate(found):
        told = {"name": one["name"], "annotator_kind": one["annotator_kind"], **one["result"]}
        told["identifier"] = one["identifier"] or None
        told["metadata"] = msgspec.json.encode(one["metadata"]).decode() if one["metadata"] else None
        for name, value in told.items():
            if value is not None:
                whole = isinstance(value, float) and value.is_integer()
                attributes[f"annotations.{number}.annotation.{name}"] = int(value) if whole else value
    return {**span, "attributes": attributes}


def parquet(path: Path, folder: Path) -> Path:
    """A frame's rows as its `to_parquet` writes them: times in nanoseconds, the index as a column of its own."""
    table = pa.Table.from_pylist(read(path))
    for name in ("start_time", "end_time"):
        if name in table.column_names:
            column = table[name].cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp("ns", "UTC"))
            table = table.set_column(table.column_names.index(name), name, column)
    written = folder / f"{path.stem}.parquet"
    pq.write_table(table, written)
    return written
