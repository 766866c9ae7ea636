"""The contract of strategies, and how a spec's name becomes one.

A strategy turns a pool into chances: with which probability its part of the budget takes each row. A row that it is sure
about has 1, one that it does not want 0; what it cannot use goes to chance. `curate/draw.py` adds the random share, so
that every row of the pool may be chosen, and writes down the chance with which each was.
"""

from pathlib import Path
from typing import Protocol, cast

import numpy as np

from whorl.curate.strategies.pool import Pool
from whorl.errors import SpecError
from whorl.models.named_function import named_function, own_function
from whorl.stats.arrays import Floats

STRATEGIES = {
    "mix": "whorl.curate.strategies.mix:mix",
    "random": "whorl.curate.strategies.at_random:at_random",
    "margin": "whorl.curate.strategies.uncertain:margin",
    "entropy": "whorl.curate.strategies.uncertain:entropy",
    "disagreement": "whorl.curate.strategies.disagreement:disagreement",
    "diversity": "whorl.curate.strategies.diversity:diversity",
    "coverage": "whorl.curate.strategies.diversity:coverage",
    "novelty": "whorl.curate.strategies.novelty:novelty",
    "severity": "whorl.curate.strategies.severity:severity",
}
SUM_TOLERANCE = 1e-6
WHERE = "curate.strategy"


class Strategy(Protocol):
    """Called with a pool of n rows and a whole budget below n; the same pool gives the same chances, in any order of rows.

    Returns:
        (n,) in [0, 1], adding up to at most the budget. They depend on the pool alone, never on what another draw took.
    """

    def __call__(self, pool: Pool, budget: int) -> Floats: ...


def strategy_chances(name: str, pool: Pool, budget: int, *, beside: Path | None = None) -> Floats:
    """The chances (n,) that a strategy gives, checked. A budget for all rows gives 1, one of 0 gives 0.

    Args:
        name: One of `STRATEGIES`, or 'package.module:function'.
        beside: Folder of the spec, where its modules are looked for.

    Raises:
        SpecError: There is no such strategy, or it breaks the contract.
    """
    if budget <= 0 or not len(pool):
        return np.zeros(len(pool))
    if budget >= len(pool):
        return np.ones(len(pool))
    chances = _chances(_strategy(name, beside)(pool, budget), name)
    wrong = _wrong(chances, len(pool), budget)
    if wrong:
        raise _broken(name, wrong)
    return chances


def _strategy(name: str, beside: Path | None) -> Strategy:
    if name in STRATEGIES:
        return cast("Strategy", named_function(STRATEGIES[name], where=WHERE))
    hint = "It is called as fn(pool, budget): docs/selection.md."
    return cast("Strategy", own_function(name, where=WHERE, hint=hint, beside=beside))


def _chances(answer: object, name: str) -> Floats:
    if answer is None:
        raise _broken(name, "nothing")
    try:
        chances: Floats = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _broken(name, f"a {type(answer).__name__} that is no array of numbers") from error
    return chances


def _broken(name: str, what: str) -> SpecError:
    return SpecError(
        f"The strategy '{name}' gave {what}.",
        where=WHERE,
        hint="It returns one chance a row, from 0 to 1, that add up to the budget at most: docs/selection.md.",
    )


def _wrong(chances: Floats, n: int, budget: int) -> str | None:
    if chances.shape != (n,):
        return f"an array of shape {chances.shape} for {n} rows"
    if np.isnan(chances).any():
        return "chances that are not numbers"
    if ((chances < 0) | (chances > 1)).any():
        return f"chances from {chances.min():g} to {chances.max():g}"
    if chances.sum() > budget + SUM_TOLERANCE * n:
        return f"chances that add up to {chances.sum():g}, for a budget of {budget}"
    return None
