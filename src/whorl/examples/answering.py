"""Whose truth comes at all: the chance that a row's label came by itself, modelled where that is not by chance.

It applies to rows that are old enough: older than `[labels] lag`, and than the youngest whose truth came; younger
ones are not silent, but waiting. Their action did not hide the truth. And it applies only where silence is neither taken for news (`default_after`) nor modelled as late truth (`late_truth.py`): a row is never weighted for both.
Rows that were picked by a draw (`asked.py`) are left out of the model, and the others stand for them; those of draws that count
show whether answering goes by the truth itself.
The maths is in `stats/answering/selective_answers.py`; what it is for, in docs/who-answers.md.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.examples.asked import asked_rows, beside_asked
from whorl.examples.join import Examples
from whorl.examples.said import said_and_true
from whorl.spec import Spec
from whorl.stats.answering.score_regressors import number_regressors, score_regressors
from whorl.stats.answering.selective_answers import (
    GOES_BY_TRUTH,
    LEAST_EFFECTIVE,
    MOST_SELDOM,
    SELDOM,
    Selective,
    goes_by_truth,
    selective_answers,
)
from whorl.stats.arrays import Floats
from whorl.stats.metrics.accuracy import hits
from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE

# Of the rows whose truth came, this share is younger than the age from which on a row without one counts as silent.
_YOUNGEST = 0.02
# The model is fitted on blocks of at most this many rows, drawn at random; the first block tells whether it is needed.
MOST_ROWS = 10_000
_TREES = 60
# Types of the features that tell who answers: texts are left out.
_NUMBERS = ("float", "int", "bool")
_MODELLED = (*_NUMBERS, "category")


class Answering(NamedTuple):
    """The rows that could have answered, in order of time, and what is known of their answers.

    Args:
        rows: Columns of examples, and `asked`: one over the chance of having been asked, null where no draw that counts did.
        answered: (n,) by itself.
        stands_for: (n,) how many rows each stands for because others of a draw were left out; 0 for those.
        known: (n, k) regressors: how sure the logged answer is, which class it is.
        how: The chances, and whether they are needed.
        notes: What a verdict says of it; empty where answers come by chance.
        refusal: Why no figure can be had from these answers, and what to do; empty where one can.
    """

    rows: pa.Table
    answered: npt.NDArray[np.bool_]
    stands_for: Floats
    known: Floats
    how: Selective
    notes: list[str]
    refusal: str

    def weight_of(self, ids: pa.ChunkedArray) -> Floats:
        """One over the chance (m,) of each id's answer; 1 where it is not weighted for."""
        if not self.how.weighted:
            return np.ones(len(ids))
        place = pc.index_in(ids, value_set=self.rows["id"].combine_chunks())
        found = place.is_valid().to_numpy(zero_copy_only=False)
        weight = np.ones(len(ids))
        chosen = place.drop_null().to_numpy()
        weight[found] = np.where(self.answered[chosen], 1 / self.how.chance[chosen], 1.0)
        return weight


def answering(examples: Examples, judging: str) -> Answering | None:
    """How the truths of the rows that judge came to be known; None where the question does not arise.

    Args:
        judging: SQL condition over the examples: rows that judge once their truth is known.
    """
    engine, lake, spec, as_of = examples.engine, examples.lake, examples.spec, examples.as_of
    if spec.labels.default_after is not None or spec.task == "generation":
        return None
    if examples.late_truth.modelled:
        return None
    features = [quoted(FEATURE + name) for name, one in spec.features.items() if one.type in _MODELLED]
    said = "scores" if spec.task == "multiclass" else "score"
    columns = ["id", "time", "age_days", "action", "label", said, *features]
    asked = f"SELECT id, 1 / probability AS asked FROM ({asked_rows(lake, examples.name, spec, as_of)})"
    beside = beside_asked(engine, lake, examples.name, spec, as_of)
    came = f"SELECT quantile_cont(age_days, {_YOUNGEST}) FROM {examples.name} WHERE {judging} AND status = 'known'"
    rows = engine.query(
        f"SELECT {', '.join(f'e.{name}' for name in columns)}, a.asked, coalesce(b.stands_for, 1) AS stands_for FROM (SELECT * FROM {examples.name} WHERE {judging}) e\n"
        f"LEFT JOIN ({asked}) a USING (id) LEFT JOIN {beside} b USING (id)\n"
        f"WHERE {said} IS NOT NULL AND NOT censored AND age_days >= greatest({spec.labels.lag.days}, ({came})) "
        "AND status IN ('known', 'open', 'expired') ORDER BY time, id"
    )
    return _found(rows, spec)


def boosted_chances(columns: Floats, answered: Floats, others: Floats) -> Floats:
    """Chances (m,) of other rows by boosted trees, which see what columns do together; missing is nan.

    Source: Ke et al. (2017), NeurIPS 30:3146-3154.
    """
    import lightgbm

    params = {
        "objective": "binary", "num_leaves": 8, "learning_rate": 0.1, "min_data_in_leaf": 20, "lambda_l2": 5.0,
        "verbose": -1, "num_threads": 1, "deterministic": True, "seed": 0,
    }  # fmt: skip
    booster = lightgbm.train(params, lightgbm.Dataset(columns, answered), _TREES)
    return np.asarray(booster.predict(others, num_threads=1), dtype=np.float64)


def _found(rows: pa.Table, spec: Spec) -> Answering:
    said, truth = said_and_true(rows, spec)
    asked = rows["asked"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    stands_for = rows["stands_for"].to_numpy()
    by_itself = np.isnan(asked) & (stands_for > 0)
    truth = np.where(np.isnan(asked) & ~by_itself, np.nan, truth)
    answered = by_itself & ~np.isnan(truth)
    known = number_regressors(said, said) if spec.task == "regression" else score_regressors(said)
    how = _chances(rows, answered, by_itself, known, spec)
    value = (
        np.abs(said - truth)
        if spec.task == "regression"
        else np.where(np.isnan(truth), np.nan, hits(truth, said))
    )
    told = value[:, None] if spec.task == "multiclass" else np.column_stack([value, truth])
    p_truth = goes_by_truth(told, answered, how, known, np.nan_to_num(asked, nan=1.0))
    refusal = _refusal(how, p_truth, int(answered.sum()), int((~np.isnan(asked) & ~np.isnan(truth)).sum()))
    notes = [refusal] if refusal else [_note(how, answered, len(rows))] if how.weighted else []
    return Answering(rows, answered, stands_for, known, how, notes, refusal)


def _chances(
    rows: pa.Table,
    answered: npt.NDArray[np.bool_],
    by_itself: npt.NDArray[np.bool_],
    known: Floats,
    spec: Spec,
) -> Selective:
    """Of all rows (n,); those that people were asked for keep the chance 1."""
    columns = np.column_stack([_columns(rows, spec), known])
    age = rows["age_days"].to_numpy(zero_copy_only=False)
    free = np.flatnonzero(by_itself)
    blocks = np.array_split(np.random.default_rng(0).permutation(free), max(1, -(-len(free) // MOST_ROWS)))
    chance, parts = np.ones(len(rows)), list[Selective]()
    for block in blocks:
        part = selective_answers(
            answered[block], columns[block], age[block], known[block], learners=(boosted_chances,)
        )
        parts.append(part)
        chance[block] = part.chance
        if not parts[0].weighted:
            return parts[0]._replace(chance=np.ones(len(rows)))
    return parts[0]._replace(
        chance=chance,
        effective=sum(part.effective for part in parts),
        seldom=float(np.mean([part.seldom for part in parts])),
    )


def _columns(rows: pa.Table, spec: Spec) -> Floats:
    """Features and action as numbers (n, d): categories by how frequent they are."""
    parts = []
    for name, feature in spec.features.items():
        if feature.type not in _MODELLED:
            continue
        column = rows[FEATURE + name]
        if feature.type in _NUMBERS:
            parts.append(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
        else:
            parts.append(_codes(column))
    parts.append(_codes(rows["action"]))
    return np.column_stack(parts).astype(np.float64)


def _codes(column: pa.ChunkedArray) -> Floats:
    """Levels (n,) from 0, the most frequent first; null is nan."""
    counted = sorted(column.value_counts().to_pylist(), key=lambda one: (-one["counts"], str(one["values"])))
    levels = [one["values"] for one in counted if one["values"] is not None]
    place = pc.index_in(column, value_set=pa.array(levels, column.type))
    return np.asarray(place.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _note(how: Selective, answered: npt.NDArray[np.bool_], rows: int) -> str:
    return (
        f"Whose truth comes is not by chance (p = {how.p_value:.2g}, given age): {int(answered.sum()):,} of {rows:,} rows that "
        f"could judge have one, are weighted by the chance of it, at least {SELDOM:.0%} of the mean one, and count as much as "
        f"{how.effective:,.0f}."
    )


def _refusal(how: Selective, p_truth: float, answered: int, asked: int) -> str:
    ask = "Ask people for the truth of rows drawn for it: whorl holdout ask."
    if how.refusal == "overlap":
        return (
            f"Whose truth comes is not by chance, and {how.seldom:.0%} of the rows that judge are of a kind whose truth hardly ever "
            f"comes (less than {SELDOM:.0%} of the mean chance; {MOST_SELDOM:.0%} of rows may be): nothing known stands for them. {ask}"
        )
    if how.refusal == "effective":
        return (
            f"Whose truth comes is not by chance, and the {answered:,} truths that came tell as much as {how.effective:.0f} rows: "
            f"{LEAST_EFFECTIVE:.0f} are needed. {ask}"
        )
    if p_truth < GOES_BY_TRUTH:
        return (
            f"Whose truth comes goes by the truth itself: {asked:,} rows that people were asked for say otherwise than the "
            f"{answered:,} whose truth came by itself (p = {p_truth:.2g}), weighted or not. Judge by rows that were asked for. {ask}"
        )
    return ""
