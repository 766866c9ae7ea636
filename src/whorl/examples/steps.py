"""Predictions joined with their labels as of a time T: what was received by T counts, and nothing later.

The steps below are the whole join, as SQL; `Examples` (in `join.py`) runs them once and answers questions. A label
finds its prediction by id, or by business keys within a time; the last one received wins; what has none is open,
censored by its action, expired, or takes the default that its spec declares.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from whorl.examples.columns import KEY, example_schema, label_keys, prediction_columns
from whorl.spec import Spec
from whorl.storage.sql_types import instant_literal, quoted, sql_type, text_literal
from whorl.storage.steps import Steps
from whorl.storage.tables import label_type

# An answer that came without a time carries that of its arrival: it must not move the prediction. Nor must its side of
# the holdout count, which goes by the group that only the inputs know.
_FIRST_TIME = (
    "coalesce(first(time ORDER BY received_at, time) FILTER (time <> received_at), "
    "first(time ORDER BY received_at, time)) AS time"
)
_FIRST_SPLIT = "first(split ORDER BY group_id IS NULL, received_at, time, split) AS split"
# The side of a group that stands on both: it is neither trained on nor judged.
PARTED = "parted"
LABEL_COLUMNS = "id, prediction_id, time, received_at, value, source"
# Which of several labels counts: the last received, then the later one. Labels of the same moment contradict each other, or
# say the same: their order is total, and prefers no value.
LAST_RECEIVED = "received_at DESC, time DESC, md5(concat_ws('/', id, value, source))"


def example_steps(
    spec: Spec, as_of: datetime, predictions: str, labels: str, parted: str | None = None
) -> Steps:
    """Steps ending in `examples`, whose columns are those of `example_schema`.

    Args:
        as_of: T. Rows received after it do not exist.
        predictions: Table expression of the lake's predictions; `labels`: of its labels.
        parted: Relation of the groups on both sides, where `predictions` are not all there are.
    """
    steps = joined_steps(spec, as_of, predictions, labels).add(
        "parted_groups",
        f"SELECT group_id FROM {parted}"
        if parted
        else "SELECT DISTINCT group_id FROM completed_predictions WHERE split = 'train' AND group_id IN\n"
        "(SELECT group_id FROM completed_predictions WHERE split = 'holdout')",
        "groups on both sides of a holdout whose share was changed",
    )
    return _told(steps, spec, as_of)


def joined_steps(spec: Spec, as_of: datetime, predictions: str, labels: str) -> Steps:
    """Steps ending in `joined`: one row an id with the label that counts, nothing of which changes while no record or label comes."""
    return add_label_steps(completed_steps(spec, as_of, predictions), spec, as_of, labels).add(
        "joined",
        "SELECT p.*, l.value, l.time AS value_time, l.received_at AS value_received_at, l.source AS value_source,\n"
        "  l.first_time AS value_first_time, coalesce(l.corrected, false) AS corrected, coalesce(l.contradictory, false) AS contradictory,\n"
        "  l.matched_id IS NOT NULL AS labelled\n"
        "FROM completed_predictions p LEFT JOIN last_labels l ON l.matched_id = p.id",
        "each prediction with the label that counts, if any",
        inline=True,
    )


def kept_examples(spec: Spec, as_of: datetime, joined: str, parted: str | None) -> Steps:
    """Steps ending in `examples`, over the rows of `joined` as of a time.

    Args:
        joined: Relation with the columns of the step of that name.
        parted: Relation of the groups on both sides; None: there is none.
    """
    steps = Steps().add("joined", f"SELECT * FROM {joined}", inline=True)
    if parted is not None:
        steps = steps.add("parted_groups", f"SELECT group_id FROM {parted}", inline=True)
    return _told(steps, spec, as_of)


def _told(steps: Steps, spec: Spec, as_of: datetime) -> Steps:
    parted = "parted_groups" in steps.names
    return steps.add("outcomes", _outcomes(spec, as_of), "whether the truth is known", inline=True).add(
        "examples",
        _examples(spec, as_of, parted=parted),
        "the declared default where no news is news",
        inline=True,
    )


def completed_steps(spec: Spec, as_of: datetime, predictions: str) -> Steps:
    """Steps ending in `completed_predictions`, one row an id."""
    return (
        Steps()
        .add(
            "received_predictions",
            f"SELECT {record_columns(spec)} FROM {predictions} WHERE received_at <= {instant_literal(as_of)}",
            "what had been received by T",
            inline=True,
        )
        .add(
            "repeated_ids",
            "SELECT id FROM received_predictions GROUP BY id HAVING count(*) > 1",
            "records that complete each other are rare; only they are merged",
        )
        .add(
            "completed_predictions",
            "SELECT * FROM received_predictions ANTI JOIN repeated_ids USING (id)\n"
            f"UNION ALL\nSELECT {_first_values(spec)}\n"
            "FROM received_predictions SEMI JOIN repeated_ids USING (id) GROUP BY id",
            "one row an id: the first value received of each column",
        )
    )


def add_label_steps(steps: Steps, spec: Spec, as_of: datetime, labels: str) -> Steps:
    """Steps from `received_labels` to `last_labels`, over an earlier step `completed_predictions`."""
    return (
        steps.add(
            "received_labels",
            f"SELECT {LABEL_COLUMNS}{_extracted_keys(spec)} FROM {labels} WHERE received_at <= {instant_literal(as_of)}",
            "what had been received by T",
            inline=True,
        )
        .add(
            "label_matches",
            _label_matches(spec),
            "each label with each prediction that it may be the truth of, or with none",
            inline=True,
        )
        .add(
            "matched_labels",
            f"SELECT * FROM label_matches WHERE matches = 1 AND {in_window(spec)}",
            "neither ambiguous nor too late",
        )
        .add(
            "repeatedly_labelled",
            "SELECT matched_id FROM matched_labels GROUP BY matched_id HAVING count(*) > 1",
            "several labels for one prediction are rare; only they are ranked",
        )
        .add(
            "last_labels",
            "SELECT *, time AS first_time, false AS corrected, false AS contradictory\n"
            "FROM matched_labels ANTI JOIN repeatedly_labelled USING (matched_id)\n"
            "UNION ALL\nSELECT *, min(time) OVER same, min(value) OVER same <> max(value) OVER same,\n"
            "  min(value) OVER at_once <> max(value) OVER at_once\n"
            "FROM matched_labels SEMI JOIN repeatedly_labelled USING (matched_id)\n"
            "WINDOW same AS (PARTITION BY matched_id), at_once AS (PARTITION BY matched_id, received_at, time)\n"
            f"QUALIFY row_number() OVER (PARTITION BY matched_id ORDER BY {LAST_RECEIVED}) = 1",
            "corrections: the last one received wins",
            inline=True,
        )
    )


def record_columns(spec: Spec) -> str:
    """SQL select items over the lake's predictions: what an example takes from them."""
    return ", ".join(map(quoted, prediction_columns(spec))) + _extracted_keys(spec)


def _extracted_keys(spec: Spec) -> str:
    return "".join(f", keys[{text_literal(name)}] AS {quoted(KEY + name)}" for name in label_keys(spec))


def _first_values(spec: Spec) -> str:
    names = [*prediction_columns(spec), *(KEY + name for name in label_keys(spec))]
    special = {"id": "id", "time": _FIRST_TIME, "split": _FIRST_SPLIT}
    return ",\n  ".join(special.get(name) or _first_value(quoted(name)) for name in names)


def _first_value(column: str) -> str:
    # Several records may carry one instant; the value itself then settles the order, so that it is always the same.
    tie = "scores::VARCHAR" if column == '"scores"' else column
    return f"first({column} ORDER BY received_at, time, {tie}) FILTER ({column} IS NOT NULL) AS {column}"


def _label_matches(spec: Spec) -> str:
    """`matched_id` and `matched_time` of the prediction, NULL where there is none; `matches`: how many there are."""
    keys = label_keys(spec)
    by_id = (
        "SELECT l.*, p.id AS matched_id, p.time AS matched_time, (p.id IS NOT NULL)::INT AS matches\n"
        "FROM received_labels l LEFT JOIN completed_predictions p ON p.id = l.prediction_id"
    )
    if not keys:
        return by_id
    equal = " AND ".join(f"p.{quoted(KEY + key)} = l.{quoted(KEY + key)}" for key in keys)
    said = ("id", "received_at", "time", "value", "source", *(quoted(KEY + key) for key in keys))
    one_label = ", ".join(f"l.{name}" for name in said)
    several = spec.labels.cardinality == "one"
    matches = (
        f"count(DISTINCT p.id) OVER (PARTITION BY {one_label})" if several else "(p.id IS NOT NULL)::INT"
    )
    latest = f"\nQUALIFY row_number() OVER (PARTITION BY {one_label} ORDER BY p.time DESC, p.id DESC) = 1"
    return (
        f"{by_id}\nWHERE l.prediction_id IS NOT NULL\nUNION ALL\nSELECT l.*, p.id, p.time, {matches}\n"
        f"FROM received_labels l LEFT JOIN completed_predictions p ON {equal}\n"
        f"  AND l.time BETWEEN p.time AND p.time + {sql_interval(spec.labels.within.span)}\n"
        "WHERE l.prediction_id IS NULL"
        f"{latest if spec.labels.cardinality == 'latest' else ''}"
    )


def conflicting_ids(spec: Spec, as_of: datetime, predictions: str) -> str:
    """SQL: `id` of which records that were received by T say different things of one field."""
    said = [name for name in prediction_columns(spec) if name not in ("id", "time", "received_at", "split")]
    differ = " OR ".join(f"count(DISTINCT {quoted(name)}::VARCHAR) > 1" for name in said)
    received = f"{predictions} WHERE received_at <= {instant_literal(as_of)}"
    several = f"SELECT id FROM {received} GROUP BY id HAVING count(*) > 1"
    return f"SELECT id FROM {received} AND id IN ({several}) GROUP BY id HAVING {differ}"


def in_window(spec: Spec) -> str:
    """SQL over `label_matches`: the label came soon enough after its prediction."""
    if spec.labels.window is None:
        return "true"
    return f"time <= matched_time + {sql_interval(spec.labels.window.span)}"


def _outcomes(spec: Spec, as_of: datetime) -> str:
    default, window = spec.labels.default_after, spec.labels.window
    elapsed, passed = "", ""
    if default is not None:
        elapsed = f"\n    WHEN time + {sql_interval(default.after.span)} <= {instant_literal(as_of)} THEN 'defaulted'"
    if window is not None:
        passed = f"\n    WHEN time + {sql_interval(window.span)} < {instant_literal(as_of)} THEN 'expired'"
    return (
        f"SELECT *, {_censored(spec)} AS censored,\n"
        "  CASE\n    WHEN labelled THEN 'known'\n    WHEN censored THEN 'censored'"
        f"{elapsed}{passed}\n    ELSE 'open'\n  END AS status\n"
        "FROM joined"
    )


def lone_examples(spec: Spec, as_of: datetime, pairs: str, parted: str) -> Steps:
    """Steps ending in `examples`, of predictions with one record and one label each.

    Args:
        pairs: Relation of their columns, and `value`, `value_time`, `value_received_at`, `value_source` of the label.
        parted: Relation of the groups on both sides.
    """
    return (
        Steps()
        .add("parted_groups", f"SELECT group_id FROM {parted}")
        .add(
            "outcomes",
            f"SELECT *, value_time AS value_first_time, false AS corrected, false AS contradictory, {_censored(spec)} AS censored, 'known' AS status FROM {pairs}",
            inline=True,
        )
        .add("examples", _examples(spec, as_of), inline=True)
    )


def _censored(spec: Spec) -> str:
    hidden = ", ".join(map(text_literal, spec.schema.censored))
    return f"coalesce(action IN ({hidden}), false)" if hidden else "false"


def _examples(spec: Spec, as_of: datetime, *, parted: bool = True) -> str:
    made = (
        {
            "split": f"CASE WHEN group_id IN (SELECT group_id FROM parted_groups) THEN '{PARTED}' ELSE split END"
        }
        if parted
        else {}
    )
    made |= {
        "label": "value",
        "label_time": "value_time",
        "label_received_at": "value_received_at",
        "label_source": "value_source",
        "defaulted": "status = 'defaulted'",
        "age_days": f"(epoch({instant_literal(as_of)}) - epoch(time)) / 86400",
        "delay_days": "(epoch(value_first_time) - epoch(time)) / 86400",
    }
    default = spec.labels.default_after
    if default is not None:
        due = f"time + {sql_interval(default.after.span)}"
        made |= {
            "label": _or_default(made["label"], _default_value(spec, default.value)),
            "label_time": _or_default(made["label_time"], due),
            "label_received_at": _or_default(made["label_received_at"], due),
            "label_source": _or_default(made["label_source"], "'default'"),
            "delay_days": _or_default(made["delay_days"], f"{default.after.days}::DOUBLE"),
        }
    return (
        "SELECT "
        + ",\n  ".join(
            f"{made[name]} AS {name}" if name in made else quoted(name) for name in example_schema(spec).names
        )
        + "\nFROM outcomes"
    )


def _or_default(value: str, default: str) -> str:
    return f"CASE WHEN status = 'defaulted' THEN {default} ELSE {value} END"


def _default_value(spec: Spec, value: Any) -> str:
    text = value if spec.task == "multiclass" and isinstance(value, str) else json.dumps(value)
    return f"{text_literal(text)}::{sql_type(label_type(spec.task))}"


def sql_interval(span: timedelta) -> str:
    return f"INTERVAL '{span.total_seconds():.15g}' SECOND"
