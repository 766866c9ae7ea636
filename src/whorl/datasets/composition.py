"""How a training dataset is put together of its members: what each weighs, shares of strata, and the order of the rows.

in: members with their examples; out: the same rows or fewer. Whatever leaves, what stays weighs for it.
"""

from whorl.errors import did_you_mean
from whorl.spec import Spec
from whorl.spec.knobs.train import CompositionSpec
from whorl.storage.engine import Engine
from whorl.storage.sql_types import quoted, text_literal
from whorl.storage.steps import Steps
from whorl.storage.tables import FEATURE

# A stratum of fewer rows is kept whole, and does not make the others small.
LEAST_ROWS = 20
MOST_NOTES, MOST_VALUES = 5, 20


def selection_weight(spec: Spec) -> str:
    """SQL over members(version, member_role, probability, blind): what a row weighs because others were not chosen.

    What the draws that saw its truth added to its chance is weighed out, or they would bend the shares of the classes; what
    the others gave it, by 1 / blind to the power of `[train] selection_weight`. Scaled so that the rows of a cycle stand for
    as many rows in all as 1 / probability says.
    """
    same = "(PARTITION BY version, CASE member_role WHEN 'random' THEN 'case' ELSE member_role END)"
    weight = f"(blind / probability * pow(1 / blind, {spec.train.selection_weight}))"
    # Whole numbers add up to the same sum in any order, so that a version is rebuilt to the last digit.
    every, shown = (f"sum(({one} * 1e9)::HUGEINT) OVER {same}" for one in ("1 / probability", weight))
    return f"{weight} * ({every} / {shown})"


def add_composition(steps: Steps, spec: Spec, rows: str) -> Steps:
    """Steps ending in `composed_rows`: those of `rows`, and `thinned`: how many rows of its stratum each stands for."""
    composition = spec.train.composition
    if composition is None:
        return steps.add("composed_rows", f"SELECT *, 1.0 AS thinned FROM {rows}", inline=True)
    return (
        steps.add(
            "strata",
            f"SELECT *, CASE WHEN member_role <> 'open' THEN {_stratum(spec)} END AS stratum FROM {rows}",
        )
        .add(
            "stratum_shares",
            f"SELECT stratum, count(*) AS n, {_share(spec)} AS share FROM strata WHERE stratum IS NOT NULL GROUP BY stratum",
        )
        .add(
            "stratum_quotas",
            f"SELECT stratum, n, CASE WHEN n < {LEAST_ROWS} THEN n ELSE least(n, greatest(1, floor(share * coalesce("
            f"min(n / share) FILTER (n >= {LEAST_ROWS} AND share > 0) OVER (), 0)))) END AS quota FROM stratum_shares",
            "the largest dataset with these shares",
        )
        .add(
            "composed_rows",
            "SELECT s.*, coalesce(q.n / q.quota, 1.0) AS thinned FROM strata s LEFT JOIN stratum_quotas q USING (stratum) "
            "QUALIFY s.stratum IS NULL OR row_number() OVER (PARTITION BY s.stratum "
            f"ORDER BY md5(id || '/{spec.train.seed}'), id) <= q.quota",
        )
    )


def row_order(spec: Spec) -> str:
    """SQL: what rows are sorted by. A curriculum goes from easy to hard: by the loss of what was answered."""
    if spec.train.order == "time":
        return "time, id"
    loss = {
        "binary": "-ln(greatest(CASE WHEN label THEN score ELSE 1 - score END, 1e-12))",
        "multiclass": "-ln(greatest(coalesce(scores[label], CASE WHEN scores IS NOT NULL THEN 0 END), 1e-12))",
    }.get(spec.task, "abs(score - label)")
    return f"member_role = 'open', {loss} NULLS LAST, time, id"


def composition_notes(engine: Engine, steps: Steps, spec: Spec) -> list[str]:
    """What the composition made of each stratum that lost rows, the largest first, and named values that no row has.

    Args:
        steps: As `add_composition` left them.
    """
    composition = spec.train.composition
    if composition is None:
        return []
    strata = engine.query(
        steps.sql("SELECT stratum, n, quota::BIGINT AS quota FROM stratum_quotas ORDER BY n DESC, stratum")
    ).to_pylist()
    found = {one["stratum"] for one in strata}
    unknown = [name for name in composition.shares if name not in found]
    known = _values(engine, steps, spec) if unknown else []
    notes = [
        f"[train.composition] names {composition.by} = '{name}', which no labelled training row has. "
        + did_you_mean(name, known)
        for name in unknown
    ]
    lost = [one for one in strata if one["quota"] < one["n"]]
    notes += [
        f"[train.composition] keeps {one['quota']:,} of {one['n']:,} rows {_which(one['stratum'], composition)}: each "
        f"weighs {one['n'] / one['quota']:.3g} times as much."
        for one in lost[:MOST_NOTES]
    ]
    others = lost[MOST_NOTES:]
    if others:
        gone = sum(one["n"] - one["quota"] for one in others)
        notes.append(f"[train.composition] leaves out {gone:,} rows of {len(others):,} other strata.")
    return notes


def _which(stratum: str, composition: CompositionSpec) -> str:
    if stratum:
        return f"with {composition.by} = '{stratum}'"
    return "of all other values" if composition.shares else f"without {composition.by}"


def _values(engine: Engine, steps: Steps, spec: Spec) -> list[str]:
    """The commonest values of the column whose values are the strata."""
    query = f"SELECT {_value(spec)} AS value FROM strata GROUP BY value ORDER BY count(*) DESC, value LIMIT {MOST_VALUES}"
    found: list[str] = engine.query(steps.sql(query))["value"].to_pylist()
    return [value for value in found if value]


def _value(spec: Spec) -> str:
    composition = spec.train.composition
    assert composition is not None
    column = "label" if composition.by == "label" else quoted(FEATURE + composition.by)
    return f"coalesce({column}::VARCHAR, '')"


def _stratum(spec: Spec) -> str:
    composition = spec.train.composition
    assert composition is not None
    value = _value(spec)
    if not composition.shares:
        return value
    named = ", ".join(map(text_literal, composition.shares))
    return f"CASE WHEN {value} IN ({named}) THEN {value} ELSE '' END"


def _share(spec: Spec) -> str:
    composition = spec.train.composition
    assert composition is not None
    if not composition.shares:
        return "1.0 / count(*) OVER ()"
    cases = " ".join(f"WHEN {text_literal(name)} THEN {share}" for name, share in composition.shares.items())
    return f"CASE stratum {cases} ELSE {max(0.0, 1 - sum(composition.shares.values()))} END"
