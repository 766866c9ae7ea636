"""Which rows may be chosen in this cycle: those with a usable truth that no cycle has considered yet.

Each training row is considered once, when its label is there and it is old enough, and once more for each correction of
its label while it is not a member. Who was considered, and with which label, is written down: another spec neither gives a
row a second chance nor takes its first. Holdout rows never get here.
"""

from datetime import datetime

from whorl.examples.arrivals import USABLE_STATUS, usable_at
from whorl.examples.rules import p_true
from whorl.examples.taken import last_taken
from whorl.records import Task
from whorl.spec import Spec
from whorl.storage.steps import Steps


def candidate_steps(examples: str, spec: Spec, as_of: datetime, taken: str) -> Steps:
    """Steps ending in `candidates`: the columns of examples and `usable_at`, `p_true`, `entropy`, `draw_key`, `reopened`.

    `draw_key` is a whole number, as good as drawn at random, that belongs to the id. `reopened`: a cycle has considered the
    row before, with another label than the one that was received since.

    Args:
        examples: Relation of examples as of `as_of`.
        taken: Relation of what had its chance; columns as in `examples/taken.py`.
    """
    return (
        Steps()
        .add(
            "labelled_rows",
            f"SELECT *, {usable_at(spec)} AS usable_at FROM {examples} "
            f"WHERE split = 'train' AND status IN {USABLE_STATUS}",
            inline=True,
        )
        .add("taken_rows", f"FROM {last_taken(taken)}", "what had its chance, and with which label")
        .add(
            "candidates",
            f"SELECT * EXCLUDE (for_good, considered_at, considered_label), {p_true(spec.task)} AS p_true, "
            f"{entropy(spec.task)} AS entropy, hash(id) AS draw_key, considered_at IS NOT NULL AS reopened\n"
            "FROM labelled_rows LEFT JOIN taken_rows USING (id)\n"
            f"WHERE usable_at <= TIMESTAMPTZ '{as_of.isoformat()}' AND (for_good IS NULL OR NOT for_good AND status = 'known'\n"
            "  AND label_received_at > considered_at AND label IS DISTINCT FROM considered_label)",
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
