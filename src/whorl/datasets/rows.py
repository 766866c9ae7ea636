"""The rows of a dataset version as one query over what was received by its as-of time.

in: members(dataset, version, id, role, ...), examples as of T; out: one row a training row, with the features by their
bare names. The same query gives the same rows later, whatever was received, corrected or compacted since.
"""

from datetime import datetime

from msgspec import structs

from whorl.datasets.composition import add_composition, row_order, selection_weight
from whorl.examples.weights import MAX_WEIGHT, exploration
from whorl.spec import Spec
from whorl.storage.steps import Steps
from whorl.storage.tables import FEATURE


def dataset_steps(
    examples: str, members: str, spec: Spec, *, name: str, version: int, as_of: datetime
) -> Steps:
    """Steps ending in `dataset_rows`: id, time, label, label_time, delay_days, weight, role, reason, probability, age_days, features."""
    features = ", ".join(f'"{FEATURE}{feature}" AS "{feature}"' for feature in spec.features)
    separator = ", " if features else ""
    steps = (
        Steps()
        .add(
            "version_members",
            "SELECT id, version, role, reason, probability, coalesce(blind_probability, probability) AS blind "
            f"FROM {members} WHERE dataset = '{name}' "
            # Open rows and edge cases are listed anew for each version.
            f"AND (version = {version} OR (version < {version} AND role NOT IN ('open', 'edge'))) "
            # A cycle that failed after it had appended leaves its rows to the version that the next one makes.
            "QUALIFY row_number() OVER (PARTITION BY id ORDER BY role = 'open', probability, reason) = 1",
        )
        .add(
            "became_holdout",
            # An answer that came before its inputs was split by its id; the side that counts is that of its group.
            f"SELECT id FROM version_members m SEMI JOIN {examples} e ON e.id = m.id AND e.split <> 'train' "
            "WHERE role <> 'golden'",
            "members that turned out to be of the holdout leave, and those whose group was parted",
        )
        .add(
            "member_examples",
            f"SELECT e.*, m.version, m.role AS member_role, m.reason, m.probability, m.blind, {exploration(spec)} AS exploration "
            f"FROM version_members m ANTI JOIN became_holdout b ON b.id = m.id JOIN {examples} e ON e.id = m.id "
            "WHERE e.status IN ('known', 'defaulted') AND m.role <> 'open' OR e.status = 'open' AND m.role = 'open'",
        )
        .add("selected_members", f"SELECT *, {selection_weight(spec)} AS selection FROM member_examples")
        .add("weighted_members", _window(spec, as_of))
    )
    trained_on = (
        spec
        if name == "training"
        else structs.replace(spec, train=structs.replace(spec.train, composition=None))
    )
    return add_composition(steps, trained_on, "weighted_members").add(
        "dataset_rows",
        "SELECT id, time, CASE WHEN member_role = 'open' THEN NULL ELSE label END AS label, "
        "CASE WHEN member_role = 'open' THEN NULL ELSE label_time END AS label_time, "
        "CASE WHEN member_role = 'open' THEN NULL ELSE delay_days END AS delay_days, "
        f"least(replay_weight * exploration * selection * thinned, {MAX_WEIGHT}) AS weight, "
        "CASE WHEN member_role = 'open' THEN 'open' ELSE 'labelled' END AS role, "
        f"reason, probability, age_days{separator}{features} FROM composed_rows ORDER BY {row_order(spec)}",
    )


def _window(spec: Spec, as_of: datetime) -> str:
    if spec.train.window is None:
        return "SELECT *, 1.0 AS replay_weight FROM selected_members"
    start = f"(TIMESTAMPTZ '{as_of.isoformat()}' - INTERVAL {int(spec.train.window.seconds)} SECOND)"
    ranked = f"row_number() OVER (PARTITION BY time < {start} ORDER BY md5(id || '{spec.train.seed}'), id)"
    older = f"greatest(count(*) OVER (PARTITION BY time < {start}) / {max(spec.train.replay_rows, 1)}, 1.0)"
    return (
        f"SELECT * EXCLUDE (place), CASE WHEN time < {start} THEN older_weight ELSE 1.0 END AS replay_weight "
        f"FROM (SELECT *, {ranked} AS place, {older} AS older_weight FROM selected_members) "
        f"WHERE time >= {start} OR place <= {spec.train.replay_rows}"
    )
