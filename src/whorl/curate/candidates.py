"""Which rows may be chosen in this cycle: those with a usable truth that no cycle has considered yet.

Each training row is considered once, when its label is there and it is old enough; so the chance with which it was taken
stands for all rows like it, and a dataset weighted by it is not biased. Who was considered is written down: neither a
corrected label nor another spec gives a row a second chance, or takes its first. Holdout rows never get here.
"""

from datetime import datetime

from whorl.examples.arrivals import USABLE_STATUS, usable_at
from whorl.examples.rules import p_true
from whorl.records import Task
from whorl.spec import Spec
from whorl.storage.steps import Steps


def candidate_steps(examples: str, spec: Spec, as_of: datetime, taken: str) -> Steps:
    """Steps ending in `candidates`: the columns of examples and `usable_at`, `p_true`, `entropy`, `draw_key`.

    `draw_key` is a whole number, as good as drawn at random, that belongs to the id.

    Args:
        examples: Relation of examples as of `as_of`.
        taken: Relation of ids that are no candidates any more: considered, in the training dataset, golden.
    """
    return (
        Steps()
        .add(
            "labelled_rows",
            f"SELECT *, {usable_at(spec)} AS usable_at FROM {examples} "
            f"WHERE split = 'train' AND status IN {USABLE_STATUS}",
            inline=True,
        )
        .add(
            "candidates",
            f"SELECT *, {p_true(spec.task)} AS p_true, {entropy(spec.task)} AS entropy, hash(id) AS draw_key FROM labelled_rows "
            f"WHERE usable_at <= TIMESTAMPTZ '{as_of.isoformat()}' AND id NOT IN (SELECT id FROM {taken})",
            inline=True,
        )
    )


def entropy(task: Task) -> str:
    """SQL: the prediction's entropy in nats; NULL without probabilities."""
    if task == "binary":
        p = "least(greatest(score, 1e-12), 1 - 1e-12)"
        return f"-({p} * ln({p}) + (1 - {p}) * ln(1 - {p}))"
    if task == "multiclass":
        return "list_sum(list_transform(map_values(scores), lambda p: CASE WHEN p > 0 THEN -p * ln(p) ELSE 0 END))"
    return "NULL::DOUBLE"
