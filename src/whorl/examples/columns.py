"""The columns of an example: what `join.py` gives and what rules may name."""

from typing import Literal

import pyarrow as pa

from whorl.spec import Spec
from whorl.storage.tables import PROTECTED, TEXT, TIME, feature_fields, label_type

Status = Literal["known", "defaulted", "open", "censored", "expired"]
STATUSES: tuple[Status, ...] = ("known", "defaulted", "open", "censored", "expired")
KEY = "k_"


def prediction_columns(spec: Spec) -> list[str]:
    """Columns that an example takes from its prediction as they are, features and protected attributes included."""
    return [
        "id", "time", "received_at", "split", "group_id", "session_id", "action", "propensity", "score", "scores",
        "output", "model_version", "latency_ms", "cost_usd", "input_tokens", "output_tokens",
        *(field.name for field in feature_fields(spec)),
        *(PROTECTED + name for name in spec.protected),
    ]  # fmt: skip


def label_keys(spec: Spec) -> list[str]:
    """Business keys by which labels are joined; empty when the id does it."""
    return [name for name in spec.labels.on if name != "id"]


def example_schema(spec: Spec) -> pa.Schema:
    """Every column of an example with its type, in order.

    `censored`: the action hides the truth. `label` is NULL unless status is known or defaulted. `corrected`: its
    labels said different things; `contradictory`: at the very moment of the one that counts. `age_days` counts from the prediction to the as-of time, `delay_days` to its first
    label, whatever corrected that later; it is negative when the label's time is earlier.
    Features are `f_<name>`, protected attributes `g_<name>`, business keys of the label join `k_<name>`.
    """
    number, whole, flag = pa.float64(), pa.int64(), pa.bool_()
    return pa.schema(
        [
            pa.field("id", TEXT),
            pa.field("time", TIME),
            pa.field("received_at", TIME),
            pa.field("split", TEXT),
            pa.field("group_id", TEXT),
            pa.field("session_id", TEXT),
            pa.field("action", TEXT),
            pa.field("propensity", number),
            pa.field("censored", flag),
            pa.field("score", number),
            pa.field("scores", pa.map_(TEXT, number)),
            pa.field("output", TEXT),
            pa.field("model_version", TEXT),
            pa.field("latency_ms", number),
            pa.field("cost_usd", number),
            pa.field("input_tokens", whole),
            pa.field("output_tokens", whole),
            *feature_fields(spec),
            *(pa.field(PROTECTED + name, TEXT) for name in spec.protected),
            *(pa.field(KEY + name, TEXT) for name in label_keys(spec)),
            pa.field("label", label_type(spec.task)),
            pa.field("label_time", TIME),
            pa.field("label_received_at", TIME),
            pa.field("corrected", flag),
            pa.field("contradictory", flag),
            pa.field("label_source", TEXT),
            pa.field("defaulted", flag),
            pa.field("status", TEXT),
            pa.field("age_days", number),
            pa.field("delay_days", number),
        ]
    )
