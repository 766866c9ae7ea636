"""The lake's tables: which columns each has, for one flywheel's spec.

`predictions`, `feedback`, `labels` and `spans` are append-only and hold what was captured; `cases`, `considered`
and `members` are append-only and hold what was chosen, and from what; `asked` holds which truths people were asked for.
Declared features are columns `f_<name>`, protected attributes `g_<name>`; what was not declared is kept as JSON in `extra`. Every table has both times: when it happened and when we received it, in UTC.
"""

from typing import Literal

import pyarrow as pa

from whorl.records import Task
from whorl.spec import Spec

TableName = Literal["predictions", "feedback", "labels", "spans", "cases", "considered", "asked", "members"]
CAPTURED: tuple[TableName, ...] = ("predictions", "feedback", "labels", "spans")
TABLES: tuple[TableName, ...] = (*CAPTURED, "cases", "considered", "asked", "members")

FEATURE, PROTECTED = "f_", "g_"
TIME = pa.timestamp("us", tz="UTC")
TEXT, JSON = pa.string(), pa.string()

_FEATURE_TYPES = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "category": TEXT,
    "text": TEXT,
}
_LABEL_TYPES: dict[Task, pa.DataType] = {
    "binary": pa.bool_(),
    "multiclass": TEXT,
    "regression": pa.float64(),
    "generation": JSON,
}


def label_type(task: Task) -> pa.DataType:
    """The column type of a label: bool, class name, number, or JSON text."""
    return _LABEL_TYPES[task]


def feature_fields(spec: Spec) -> list[pa.Field]:
    """`f_<name>` columns in the spec's order."""
    return [pa.field(FEATURE + name, _FEATURE_TYPES[feature.type]) for name, feature in spec.features.items()]


def lake_schemas(spec: Spec) -> dict[TableName, pa.Schema]:
    """Every table's columns. `day` partitions by event time (captured tables) or by the cycle's as-of time."""
    return {
        "predictions": _predictions(spec),
        "feedback": _feedback(),
        "labels": _labels(spec),
        "spans": _spans(),
        "cases": _cases(spec),
        "considered": _considered(spec),
        "asked": _asked(),
        "members": _members(),
    }


def _predictions(spec: Spec) -> pa.Schema:
    return pa.schema(
        [
            pa.field("id", TEXT, nullable=False),
            pa.field("time", TIME, nullable=False),
            pa.field("received_at", TIME, nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("split", TEXT, nullable=False),
            pa.field("group_id", TEXT),
            pa.field("session_id", TEXT),
            pa.field("keys", pa.map_(TEXT, TEXT)),
            pa.field("score", pa.float64()),
            pa.field("scores", pa.map_(TEXT, pa.float64())),
            pa.field("output", TEXT),
            pa.field("action", TEXT),
            pa.field("propensity", pa.float64()),
            pa.field("model_version", TEXT),
            pa.field("feature_version", TEXT),
            pa.field("variant", TEXT),
            pa.field("trace_id", TEXT),
            pa.field("parent_id", TEXT),
            pa.field("input_tokens", pa.int64()),
            pa.field("output_tokens", pa.int64()),
            pa.field("cost_usd", pa.float64()),
            pa.field("latency_ms", pa.float64()),
            pa.field("messages", JSON),
            pa.field("items", JSON),
            pa.field("content", JSON),
            pa.field("extra", JSON),
            *feature_fields(spec),
            *(pa.field(PROTECTED + name, TEXT) for name in spec.protected),
        ]
    )


def _feedback() -> pa.Schema:
    return pa.schema(
        [
            pa.field("id", TEXT, nullable=False),
            pa.field("time", TIME, nullable=False),
            pa.field("received_at", TIME, nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("prediction_id", TEXT),
            pa.field("item_id", TEXT),
            pa.field("session_id", TEXT),
            pa.field("name", TEXT, nullable=False),
            pa.field("value", JSON),
            pa.field("number", pa.float64()),
            pa.field("kind", TEXT, nullable=False),
            pa.field("explicit", pa.bool_(), nullable=False),
            pa.field("source", TEXT),
            pa.field("comment", TEXT),
            pa.field("correction", JSON),
            pa.field("extra", JSON),
        ]
    )


def _labels(spec: Spec) -> pa.Schema:
    return pa.schema(
        [
            pa.field("id", TEXT, nullable=False),
            pa.field("time", TIME, nullable=False),
            pa.field("received_at", TIME, nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("prediction_id", TEXT),
            pa.field("keys", pa.map_(TEXT, TEXT)),
            pa.field("value", label_type(spec.task), nullable=False),
            pa.field("source", TEXT),
            pa.field("extra", JSON),
        ]
    )


def _spans() -> pa.Schema:
    """Steps of traces: `id` is the span's, unique in its trace; `prediction_id` is set where the step is a prediction."""
    return pa.schema(
        [
            pa.field("id", TEXT, nullable=False),
            pa.field("time", TIME, nullable=False),
            pa.field("received_at", TIME, nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("trace_id", TEXT, nullable=False),
            pa.field("parent_id", TEXT),
            pa.field("prediction_id", TEXT),
            pa.field("name", TEXT),
            pa.field("duration_ms", pa.float64()),
            pa.field("status", TEXT),
            pa.field("attributes", JSON),
        ]
    )


def _cases(spec: Spec) -> pa.Schema:
    return pa.schema(
        [
            pa.field("cycle_id", TEXT, nullable=False),
            pa.field("as_of", TIME, nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("id", TEXT, nullable=False),
            pa.field("time", TIME, nullable=False),
            pa.field("reason", TEXT, nullable=False),
            pa.field("reasons", pa.list_(TEXT), nullable=False),
            pa.field("severity", pa.float64(), nullable=False),
            pa.field("segment", TEXT),
            pa.field("policy", TEXT, nullable=False),
            pa.field("probability", pa.float64(), nullable=False),
            pa.field("blind_probability", pa.float64()),
            pa.field("status", TEXT, nullable=False),
            pa.field("score", pa.float64()),
            pa.field("output", TEXT),
            pa.field("label", label_type(spec.task)),
            pa.field("model_version", TEXT),
        ]
    )


def _considered(spec: Spec) -> pa.Schema:
    """Which rows a cycle chose its cases from, and the label that each had: a correction gives it another chance."""
    return pa.schema(
        [
            pa.field("cycle_id", TEXT, nullable=False),
            pa.field("as_of", TIME),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("id", TEXT, nullable=False),
            pa.field("label", label_type(spec.task)),
        ]
    )


def _asked() -> pa.Schema:
    """Predictions whose truth people were asked for: `purpose` is train or judge, or withdrawn for the rows of a draw that was
    taken back at `as_of`; `probability` is the chance that this draw had of asking for the row; the draw chose among rows
    with `since` < received_at <= `until`.
    """
    return pa.schema(
        [
            pa.field("draw", TEXT, nullable=False),
            pa.field("as_of", TIME, nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("id", TEXT, nullable=False),
            pa.field("time", TIME, nullable=False),
            pa.field("purpose", TEXT, nullable=False),
            pa.field("strategy", TEXT, nullable=False),
            pa.field("stratum", TEXT),
            pa.field("probability", pa.float64(), nullable=False),
            pa.field("since", TIME),
            pa.field("until", TIME),
        ]
    )


def _members() -> pa.Schema:
    """Which rows a dataset version has: `role` is case, random, initial, asked, open, golden or edge.

    `blind_probability`, here and in `cases`: the chance of the row by the draws that did not see its truth; null: the same.
    """
    return pa.schema(
        [
            pa.field("dataset", TEXT, nullable=False),
            pa.field("version", pa.int64(), nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("id", TEXT, nullable=False),
            pa.field("role", TEXT, nullable=False),
            pa.field("reason", TEXT),
            pa.field("probability", pa.float64(), nullable=False),
            pa.field("blind_probability", pa.float64()),
            pa.field("cycle_id", TEXT),
        ]
    )
