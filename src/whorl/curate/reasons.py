"""Why a row is worth learning from: the user's rules and the built-in reasons, as one boolean and one severity a row.

Rules and what SQL can say are computed in the engine; novelty and the difference to the previous champion (`changed.py`)
on arrays.
"""

from math import nan

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.curate.changed import change
from whorl.examples.rules import check_sql, names_truth
from whorl.models.model import Model
from whorl.spec import Spec
from whorl.spec.knobs import ReasonsSpec, RuleSpec
from whorl.stats.learning.novelty import fit, score
from whorl.stats.learning.uncertainty import margin
from whorl.storage.tables import FEATURE

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

ENOUGH_TO_NOTE = 20


class Reason(msgspec.Struct, frozen=True):
    """One reason over the candidates: which rows have it, and how much each matters (at least 0).

    `sees_truth`: whether it goes by the truth of a row, so that rows of one class have it more often than the others like them.
    """

    name: str
    rows: Bools
    severity: Floats
    sees_truth: bool


def rule_columns(spec: Spec) -> list[str]:
    """SQL select items: for rule i, `rule_<i>` (boolean) and `severity_<i>` (number)."""
    items: list[str] = []
    for position, rule in enumerate(spec.curate.rules):
        severity = (
            str(rule.severity)
            if isinstance(rule.severity, (int, float))
            else check_sql(rule.severity, spec, "number")
        )
        items.append(f"coalesce({check_sql(rule.when, spec, 'condition')}, false) AS rule_{position}")
        items.append(f"greatest(coalesce({severity}, 0), 0)::DOUBLE AS severity_{position}")
    return items


def find_reasons(
    candidates: pa.Table,
    spec: Spec,
    *,
    class_share: dict[str, float],
    previous: Model | None,
    ordinary: pa.Table | None,
) -> list[Reason]:
    """Every reason that at least one row has, the user's first.

    Args:
        candidates: Rows with `rule_columns`, `label`, `score`, `p_true`, `entropy`, `scores` and the features.
        class_share: Share of each class (as text) among labelled training rows.
        previous: The previous champion; None when there is none that can be asked.
        ordinary: Feature columns of rows the model was trained on; None switches novelty off.
    """
    found = [_rule(candidates, position, rule) for position, rule in enumerate(spec.curate.rules)]
    knobs, ones = spec.curate.reasons, np.ones(candidates.num_rows)
    found.append(Reason("uncertain", _top(_unsure(candidates, spec), knobs.uncertain), ones, False))
    found.append(_wrong(candidates, knobs))
    if spec.task == "regression":
        error = np.abs(_column(candidates, "score") - _column(candidates, "label"))
        found.append(Reason("large_error", _top(error, knobs.large_error), np.nan_to_num(error), True))
    if knobs.changed and previous is not None and candidates.num_rows:
        moved = np.nan_to_num(change(candidates, previous, spec))
        unit = np.std(_column(candidates, "label")) if spec.task == "regression" else 1.0
        found.append(Reason("changed", moved > knobs.changed * unit, moved, False))
    if spec.task != "regression":
        labels = candidates["label"].combine_chunks().dictionary_encode()
        share = np.array([class_share.get(str(label), 0.0) for label in labels.dictionary.to_pylist()])
        shares = share[labels.indices.to_numpy()] if len(share) else np.zeros(0)
        found.append(Reason("rare", shares < knobs.rare, ones, True))
    if knobs.novel and ordinary is not None and ordinary.num_rows:
        surprise = score(
            fit(_plain_columns(ordinary)), _plain_columns(candidates.select(ordinary.column_names))
        )
        found.append(Reason("novel", _top(surprise, knobs.novel), ones, False))
    return [reason for reason in found if reason.rows.any()]


def rule_notes(candidates: pa.Table, spec: Spec) -> list[str]:
    """Rules that tell nothing apart: they match every candidate, or none. Nothing is said of few candidates."""
    n = candidates.num_rows
    if n < ENOUGH_TO_NOTE:
        return []
    hits = {
        rule.name: int(_rule(candidates, position, rule).rows.sum())
        for position, rule in enumerate(spec.curate.rules)
    }
    return [
        f"Rule '{name}' matches all of {n:,} candidates: it prefers none."
        if count
        else f"Rule '{name}' matches none of {n:,} candidates."
        for name, count in hits.items()
        if count in (0, n)
    ]


def asks_entropy(spec: Spec) -> bool:
    """Whether the entropy tells what the model is unsure of, rather than its margin."""
    return spec.curate.reasons.uncertain_by == "entropy" or spec.task not in ("binary", "multiclass")


def feature_columns(spec: Spec) -> list[str]:
    """Feature columns that novelty looks at: all but free text."""
    return [FEATURE + name for name, feature in spec.features.items() if feature.type != "text"]


def _rule(candidates: pa.Table, position: int, rule: RuleSpec) -> Reason:
    rows = candidates[f"rule_{position}"].to_numpy(zero_copy_only=False).astype(np.bool_)
    sees = any(names_truth(sql) for sql in (rule.when, rule.severity) if isinstance(sql, str))
    return Reason(rule.name, rows, _column(candidates, f"severity_{position}"), sees)


def _unsure(candidates: pa.Table, spec: Spec) -> Floats:
    if asks_entropy(spec):
        return _column(candidates, "entropy")
    if spec.task == "binary":
        return 1 - margin(_column(candidates, "score"))
    given = [dict(scores) if scores else None for scores in candidates["scores"].to_pylist()]
    classes = sorted({name for scores in given if scores for name in scores})
    rows = [[scores.get(name, 0.0) if scores else nan for name in classes] for scores in given]
    return 1 - margin(np.array(rows, dtype=np.float64).reshape(len(rows), len(classes)))


def _wrong(candidates: pa.Table, knobs: ReasonsSpec) -> Reason:
    p_true = _column(candidates, "p_true")
    known = np.where(np.isnan(p_true), 1.0, p_true)
    return Reason("wrong", known < knobs.wrong, 1.0 - known, True)


def _top(value: Floats, share: float) -> Bools:
    """The share of rows with the largest values; a value that all rows have is no reason."""
    known = value[~np.isnan(value)]
    if share == 0 or known.size == 0 or known.min() == known.max():
        return np.zeros(len(value), dtype=np.bool_)
    return np.nan_to_num(value, nan=-np.inf) > np.quantile(known, 1 - share)


def _column(table: pa.Table, name: str) -> Floats:
    values = table[name].combine_chunks()
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _plain_columns(table: pa.Table) -> dict[str, npt.NDArray[np.generic]]:
    """Numbers as float64 with nan, everything else as objects with None."""
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        columns[name] = _column(table, name) if number else np.array(table[name].to_pylist(), dtype=object)
    return columns
