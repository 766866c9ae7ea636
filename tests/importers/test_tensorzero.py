"""TensorZero: rows typed from its public schema, of both of its databases.

ClickHouse: tensorzero/tensorzero, `docs/gateway/data-model.mdx`. PostgreSQL: `crates/tensorzero-core/src/db/postgres/migrations`
(`inference_tables`, `split_inference_data_tables`, and the one that makes `demonstration_feedback`). Content blocks:
`docs/gateway/api-reference/inference.mdx`.
"""

from typing import Any

import msgspec

from whorl.capture.importers import tensorzero
from whorl.capture.importers.exports import ingest_export
from whorl.workspace import Workspace

EPISODE = "0198f000-0000-7000-8000-00000000000e"
CHAT, EXTRACT, OLD = (f"0198f000-00{n}0-7000-8000-000000000001" for n in (1, 2, 3))
AT = 0x0198F0000010 / 1000


def text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def feedback_id(number: int) -> str:
    return f"0198f001-0000-7000-8000-{number:012d}"


CHAT_INPUT = {
    "system": "You are kind.",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is the weather in Tokyo?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_call", "id": "0", "name": "weather", "arguments": '{"location": "Tokyo"}'}
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "id": "0", "name": "weather", "result": "70"}]},
        {
            "role": "user",
            "content": [{"type": "text", "value": "And in NYC?"}, {"type": "raw_text", "value": "Be brief."}],
        },
    ],
}
CHAT_ROW = {
    "id": CHAT,
    "function_name": "assist",
    "variant_name": "gpt_kind",
    "episode_id": EPISODE,
    "input": text(CHAT_INPUT),
    "output": text([{"type": "thought", "text": "Hm."}, {"type": "text", "text": "Sunny."}]),
    "tool_params": "",
    "inference_params": text({"chat_completion": {"temperature": 0.5}}),
    "processing_time_ms": 345,
    "timestamp": "2025-08-28 07:00:00",
    "tags": {"user_id": "u9", "team": "weather"},
}
JSON_ROW = {
    "id": EXTRACT,
    "function_name": "extract",
    "variant_name": "small",
    "episode_id": EPISODE,
    "input": text(
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "arguments": {"mail": "Hi, it is Al."}}]}
            ]
        }
    ),
    "output": text({"raw": '{"name": "Al"}', "parsed": {"name": "Al"}}),
    "output_schema": text({"type": "object"}),
    "inference_params": "{}",
    "processing_time_ms": 120,
    "tags": {},
}
MODEL_ROW = {
    "id": "0198f000-0011-7000-8000-000000000002",
    "inference_id": CHAT,
    "raw_request": "{}",
    "raw_response": "{}",
    "model_name": "gpt-large",
    "model_provider_name": "openai",
    "input_tokens": 41,
    "output_tokens": 3,
    "response_time_ms": 300,
    "finish_reason": "stop",
}
FEEDBACK = [
    {"id": feedback_id(1), "target_id": CHAT, "metric_name": "helpful", "value": True, "tags": {"author": "ann"}},
    {"id": feedback_id(2), "target_id": EPISODE, "metric_name": "rating", "value": 4.5, "tags": {}},
    {
        "id": feedback_id(3), "target_id": CHAT, "metric_name": "exact", "value": 1.0,
        "tags": {"tensorzero::evaluator_inference_id": EXTRACT},
    },
    {"id": feedback_id(4), "target_id": EPISODE, "target_type": "episode", "value": "Well done.", "tags": {}},
    {"id": feedback_id(5), "inference_id": CHAT, "value": text([{"type": "text", "text": "Sunny, 25 degrees."}]), "tags": {}},
    {"id": feedback_id(6), "inference_id": EXTRACT, "value": text({"raw": '{"name": "Alice"}', "parsed": {"name": "Alice"}})},
]  # fmt: skip
ALL = [CHAT_ROW, JSON_ROW, MODEL_ROW, *FEEDBACK]


def test_a_chat_inference(ws: Workspace, lines: Any, rows: Any) -> None:
    assert ingest_export(ws, lines(CHAT_ROW), "tensorzero").accepted == 1
    (row,) = rows("predictions")
    assert msgspec.json.decode(row["messages"]) == [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "What is the weather in Tokyo?"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "0",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"location": "Tokyo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "0", "content": "70"},
        {"role": "user", "content": "And in NYC?\nBe brief."},
    ]
    assert (row["output"], row["variant"], row["session_id"]) == ("Sunny.", "gpt_kind", EPISODE)
    assert (row["group_id"], row["latency_ms"], row["f_team"]) == ("u9", 345, "weather")
    assert row["time"].timestamp() == AT


def test_a_json_inference(ws: Workspace, lines: Any, rows: Any) -> None:
    ingest_export(ws, lines(JSON_ROW), "tensorzero")
    (row,) = rows("predictions")
    assert row["output"] == '{"name":"Al"}'
    assert row["messages"] == '[{"role":"user","content":"{\\"mail\\":\\"Hi, it is Al.\\"}"}]'
    assert row["group_id"] == EPISODE


def test_a_model_inference_completes_its_inference_in_any_order(ws: Workspace, lines: Any, rows: Any) -> None:
    ingest_export(ws, lines(MODEL_ROW), "tensorzero")
    path = lines(CHAT_ROW, MODEL_ROW, CHAT_ROW)
    assert ingest_export(ws, path, "tensorzero").accepted == 1
    assert ingest_export(ws, path, "tensorzero").already
    partly = rows("predictions")
    assert [row["input_tokens"] for row in partly if row["input_tokens"]] == [41]
    assert [row["output"] for row in partly if row["output"]] == ["Sunny."]
    assert len({row["time"] for row in partly}) == 1


def test_feedback_and_demonstrations(ws: Workspace, lines: Any, rows: Any) -> None:
    report = ingest_export(ws, lines(*FEEDBACK), "tensorzero")
    assert (report.accepted, report.labels) == (6, 2)
    said = {row["id"][-1]: row for row in rows("feedback")}
    assert (said["1"]["name"], said["1"]["number"], said["1"]["source"]) == ("helpful", 1.0, "ann")
    assert {said[n]["kind"] for n in "124"} == {"HUMAN"}
    assert said["3"]["kind"] == "LLM_JUDGE"
    assert said["2"]["session_id"] == EPISODE
    assert (said["4"]["prediction_id"], said["4"]["session_id"]) == (None, EPISODE)
    assert (said["4"]["name"], said["4"]["comment"]) == ("comment", "Well done.")
    labels = {row["prediction_id"]: row["value"] for row in rows("labels")}
    assert labels == {CHAT: '"Sunny, 25 degrees."', EXTRACT: '{"name":"Alice"}'}


def test_a_metric_is_the_truth_when_it_is_named_so(ws: Workspace, lines: Any, rows: Any) -> None:
    ingest_export(ws, lines(*FEEDBACK[:3]), "tensorzero", truth="helpful")
    assert [(row["prediction_id"], row["value"]) for row in rows("labels")] == [(CHAT, "true")]
    assert {row["name"] for row in rows("feedback")} == {"rating", "exact"}


def test_the_tables_of_postgres_complete_each_other(ws: Workspace, lines: Any, rows: Any) -> None:
    moment = "2025-08-28T07:00:00.123+00:00"
    meta = {
        "id": OLD, "function_name": "assist", "variant_name": "v", "episode_id": EPISODE, "processing_time_ms": 5,
        "tags": {}, "created_at": moment,
    }  # fmt: skip
    data = {
        "id": OLD, "input": CHAT_INPUT, "output": [{"type": "text", "text": "Yes."}], "inference_params": {},
        "created_at": moment,
    }  # fmt: skip
    assert ingest_export(ws, lines(meta, data), "tensorzero").accepted == 2
    assert ingest_export(ws, lines(data, meta), "tensorzero").accepted == 0
    assert {row["id"] for row in rows("predictions")} == {OLD}
    assert {row["output"] for row in rows("predictions")} == {None, "Yes."}


def test_rows_of_other_tables_are_listed(ws: Workspace, lines: Any) -> None:
    cache = {"short_cache_key": 1, "long_cache_key": "ab", "output": "", "raw_request": ""}
    point = {"dataset_name": "golden", "function_name": "assist", "id": OLD, "input": "{}", "output": "[]"}
    report = ingest_export(ws, lines(cache, point, CHAT_ROW), "tensorzero")
    assert (report.accepted, [one.code for one in report.rejects]) == (1, ["unknown", "unknown"])


def test_an_answer_that_calls_a_tool_is_kept_whole() -> None:
    call = {
        "type": "tool_call",
        "id": "1",
        "raw_name": "weather",
        "raw_arguments": "{}",
        "name": None,
        "arguments": None,
    }
    native = tensorzero.records(dict, {**CHAT_ROW, "output": text([call])})
    assert native is not None
    assert native.records[0][1]["output"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    }


def test_all_of_it_twice(ws: Workspace, lines: Any, rows: Any) -> None:
    path = lines(*ALL)
    assert ingest_export(ws, path, "tensorzero").accepted == 9
    again = ingest_export(ws, path, "tensorzero")
    assert (again.accepted, again.already) == (0, True)
    assert [len(rows(table)) for table in ("predictions", "feedback", "labels")] == [3, 4, 2]
