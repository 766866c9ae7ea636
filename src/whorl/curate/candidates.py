"""Which rows may be chosen in this cycle: those with a usable truth that no cycle has considered yet.

Each training row is considered once, when its label is there and it is old enough; so the chance with which it was taken
stands for all rows like it, and a dataset weighted by it is not biased. Who was considered is written down: neither a
corrected label nor another spec gives a row a second chance, or takes its first. Holdout rows never get here.
"""

from datetime import datetime

from whorl.examples.rules import p_true
from whorl.records import Task
from whorl.spec import Spec
from whorl.storage.steps import Steps

USABLE_STATUS = "('known', 'defaulted')"


def candidate_steps(
    examples: str, spec: Spec, as_of: datetime, considered: str, members: str, golden: str
) -> Steps:
    """Steps ending in `candidates`: the columns of examples and `usable_at`, `p_true`, `entropy`.

    Args:
        examples: Table of examples as of `as_of`.
        considered: Relation of ids that earlier cycles chose from.
        members: Relation of ids already in the training dataset.
        golden: Relation of ids of golden datasets, which are never trained on.
    """
    return (
        Steps()
        .add(
            "labelled_rows",
            f"SELECT *, {usable_at(spec)} AS usable_at FROM {examples} "
            f"WHERE split = 'train' AND status IN {USABLE_STATUS}",
        )
        .add(
            "candidates",
            f"SELECT *, {p_true(spec.task)} AS p_true, {entropy(spec.task)} AS entropy FROM labelled_rows "
            f"WHERE usable_at <= TIMESTAMPTZ '{as_of.isoformat()}' AND id NOT IN (SELECT id FROM {considered}) "
            f"AND id NOT IN (SELECT id FROM {members}) AND id NOT IN (SELECT id FROM {golden})",
        )
    )


def usable_at(spec: Spec) -> str:
    """SQL: when a row may first be trained on, if its truth is known by then.

    A row kept for judging becomes usable for training when it is no longer among the youngest.
    """
    forward = spec.evaluate.time_forward
    old_enough = spec.labels.lag.seconds + (forward.seconds if forward else 0)
    return f"time + INTERVAL {int(old_enough)} SECOND"


def entropy(task: Task) -> str:
    """SQL: the prediction's entropy in nats; NULL without probabilities."""
    if task == "binary":
        p = "least(greatest(score, 1e-12), 1 - 1e-12)"
        return f"-({p} * ln({p}) + (1 - {p}) * ln(1 - {p}))"
    if task == "multiclass":
        return "list_sum(list_transform(map_values(scores), lambda p: CASE WHEN p > 0 THEN -p * ln(p) ELSE 0 END))"
    return "NULL::DOUBLE"
