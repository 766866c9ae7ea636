"""Log lines of NVIDIA's data flywheel, typed from the schema in the README of NVIDIA-AI-Blueprints/data-flywheel ("Log schema")."""

from typing import Any


def log_line(number: int, **over: Any) -> dict[str, Any]:
    at = 1_760_000_000 + number
    message = over.pop("message", {"role": "assistant", "content": f"Answer {number}."})
    return {
        "timestamp": at,
        "workload_id": "chat",
        "client_id": "hr-prod",
        "request": {
            "model": "large",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"Question {number}?"},
            ],
            "temperature": 0.2,
            "user": "u7",
        },
        "response": {
            "id": f"chatcmpl-a{number}",
            "object": "chat.completion",
            "created": at,
            "model": "large-0613",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 15, "completion_tokens": 72, "total_tokens": 87},
        },
        **over,
    }
