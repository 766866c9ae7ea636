"""NVIDIA's data flywheel: what a log line gives; how they look is in `log_lines.py`."""

from typing import Any

from log_lines import log_line

from whorl.capture.importers import nvidia
from whorl.capture.importers.exports import ingest_export
from whorl.workspace import Workspace

TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "leave", "arguments": '{"days": 2}'}}


def test_a_line_is_a_prediction(ws: Workspace, lines: Any, rows: Any) -> None:
    report = ingest_export(ws, lines(log_line(1)), "nvidia")
    assert (report.accepted, report.refused) == (1, 0)
    (row,) = rows("predictions")
    assert row["id"] == "chatcmpl-a1"
    assert row["messages"] == (
        '[{"role":"system","content":"Be brief."},{"role":"user","content":"Question 1?"}]'
    )
    assert (row["output"], row["group_id"], row["model_version"]) == ("Answer 1.", "u7", "large-0613")
    assert (row["input_tokens"], row["output_tokens"]) == (15, 72)
    assert row["time"].timestamp() == 1_760_000_001
    assert row["f_workload_id"] == "chat"
    assert '"client_id":"hr-prod"' in row["extra"]
    assert '"temperature":0.2' in row["extra"]


def test_an_answer_that_calls_tools_is_kept_whole(ws: Workspace, lines: Any, rows: Any) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    ingest_export(ws, lines(log_line(1, message=message)), "nvidia")
    assert '"name":"leave"' in rows("predictions")[0]["output"]


def test_lines_that_share_an_id_of_the_loader_go_by_their_content() -> None:
    found = []
    for question in ("a", "b", "a"):
        line = log_line(1, workload_id=question)
        line["response"]["id"] = f"chatcmpl-{line['timestamp']}"
        native = nvidia.records(dict, line)
        assert native is not None
        found.append(native.records[0][1]["id"])
    assert found[0] == found[2] != found[1]


def test_an_elasticsearch_dump(ws: Workspace, lines: Any, rows: Any) -> None:
    dump = {"_index": "flywheel", "_id": "x", "_source": log_line(3)}
    assert ingest_export(ws, lines(dump), "nvidia").accepted == 1
    assert rows("predictions")[0]["id"] == "chatcmpl-a3"


def test_a_second_run_adds_nothing_and_what_is_no_log_line_is_listed(
    ws: Workspace, lines: Any, rows: Any
) -> None:
    path = lines(log_line(1), {"hello": 1}, log_line(2, response="broken"), [1], log_line(4))
    report = ingest_export(ws, path, "nvidia")
    assert (report.accepted, report.refused) == (2, 3)
    assert [(one.index, one.code) for one in report.rejects] == [
        (2, "unknown"),
        (3, "unknown"),
        (4, "unknown"),
    ]
    assert "hello" in report.rejects[0].message
    again = ingest_export(ws, path, "nvidia")
    assert (again.accepted, again.refused) == (0, 3)
    assert "2 record(s) were in the lake already." in again.notes
    assert len(rows("predictions")) == 2
