"""What had its chance to be chosen: considered by a cycle, a member of the training dataset, or golden; in SQL.

A relation of it has `id`, and the `as_of` and `label` with which a cycle considered it; both NULL where it is taken for
good. A label that was received since, and says otherwise, gives a considered row another chance (`curate/candidates.py`).
"""

# The dataset that cycles make.
TRAINING = "training"


def last_taken(taken: str) -> str:
    """SQL relation of one row an id of `taken`: `for_good`, and when it was last considered, with which label.

    Args:
        taken: Relation of what had its chance.
    """
    return (
        "(SELECT id, bool_or(as_of IS NULL) AS for_good, max(as_of) AS considered_at, "
        f"arg_max(label, as_of) AS considered_label FROM {taken} GROUP BY id)"
    )


def contradicted(last: str, labels: str) -> str:
    """SQL of the ids of which one of `labels` was received after they were considered, and says otherwise.

    Args:
        last: As `last_taken`.
    """
    return (
        f"SELECT l.prediction_id FROM {labels} l JOIN {last} t ON t.id = l.prediction_id "
        "WHERE l.received_at > t.considered_at AND l.value IS DISTINCT FROM t.considered_label"
    )
