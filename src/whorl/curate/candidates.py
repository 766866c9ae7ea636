"""Which rows may be chosen in this cycle: those whose truth became usable since the last one.

Each training row is considered once, when its label is there and old enough; so the chance with which it was taken
stands for all rows like it, and a dataset weighted by it is not biased. Holdout rows never get here.
"""

from datetime import datetime

from whorl.examples.rules import p_true
from whorl.records import Task
from whorl.spec import Spec
from whorl.storage.steps import Steps

USABLE_STATUS = "('known', 'defaulted')"


def candidate_steps(
    examples: str, spec: Spec, as_of: datetime, since: datetime | None, members: str, golden: str
) -> Steps:
    """Steps ending in `candidates`: the columns of examples and `usable_at`, `p_true`, `entropy`.

    Args:
        examples: Table of examples as of `as_of`.
        since: As-of time of the previous choice; None for the first.
        members: Relation of ids already in the training dataset.
        golden: Relation of ids of golden datasets, which are never trained on.
    """
    after = f"AND usable_at > TIMESTAMPTZ '{since.isoformat()}'" if since else ""
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
            f"WHERE usable_at <= TIMESTAMPTZ '{as_of.isoformat()}' {after} "
            f"AND id NOT IN (SELECT id FROM {members}) AND id NOT IN (SELECT id FROM {golden})",
        )
    )


def usable_at(spec: Spec) -> str:
    """SQL: when a row with a known truth may first be trained on.

    A row kept for judging becomes usable for training when it is no longer among the youngest. One that had its chance
    with its first label, or with the declared default, gets no second one with a label that comes later.
    """
    known = "label_first_received_at"
    default = spec.labels.default_after
    if default is not None:
        due = f"time + INTERVAL {int(default.after.seconds)} SECOND"
        known = f"CASE WHEN censored THEN {known} ELSE least({known}, {due}) END"
    forward = spec.evaluate.time_forward
    old_enough = spec.labels.lag.seconds + (forward.seconds if forward else 0)
    return f"greatest({known}, received_at, time + INTERVAL {int(old_enough)} SECOND)"


def entropy(task: Task) -> str:
    """SQL: the prediction's entropy in nats; NULL without probabilities."""
    if task == "binary":
        p = "least(greatest(score, 1e-12), 1 - 1e-12)"
        return f"-({p} * ln({p}) + (1 - {p}) * ln(1 - {p}))"
    if task == "multiclass":
        return "list_sum(list_transform(map_values(scores), lambda p: CASE WHEN p > 0 THEN -p * ln(p) ELSE 0 END))"
    return "NULL::DOUBLE"
