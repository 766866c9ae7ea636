"""A strategy of one's own that breaks: an error of the spec that names it, the line, and what it must be; never a traceback."""

from collections.abc import Callable

import numpy as np
import pytest

from whorl.curate.strategies.choose import choose
from whorl.curate.strategies.pool import Pool
from whorl.errors import SpecError

CODE = """
import numpy as np

def raises(pool, budget):
    return {}["amount"]

def short(pool, budget):
    return np.zeros(3)

def undefined(pool, budget):
    return np.full(len(pool), np.nan)

def words(pool, budget):
    return ["certainly"] * len(pool)

def nothing(pool, budget):
    return None

def everything(pool, budget):
    return np.ones(len(pool))

def first(pool, budget):
    return (np.arange(len(pool)) < budget).astype(int)
"""


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], object]:
    folder = tmp_path_factory.mktemp("beside")
    (folder / "my_strategies.py").write_text(CODE, encoding="utf-8")
    ids = [f"r{n}" for n in range(40)]
    pool = Pool(ids=ids, probability=np.full((40, 2), 0.5), embedding=lambda rows: np.zeros((len(rows), 1)))
    return lambda name: choose(pool, f"my_strategies:{name}", budget=10, random_share=0.2, beside=folder)


def test_what_it_raises_is_said_with_its_line(chosen: Callable[[str], object]) -> None:
    with pytest.raises(SpecError) as told:
        chosen("raises")
    assert "my_strategies:raises fails" in str(told.value)
    assert "my_strategies.py line 5" in str(told.value)
    assert "KeyError: 'amount'" in str(told.value)
    assert "fn(pool, budget)" in str(told.value)
    assert isinstance(told.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("short", "an array of shape (3,) for 40 rows"),
        ("undefined", "chances that are not numbers"),
        ("words", "a list that is no array of numbers"),
        ("nothing", "gave nothing"),
        ("everything", "chances that add up to 40, for a budget of 8"),
    ],
)
def test_what_breaks_the_contract_is_named(chosen: Callable[[str], object], name: str, what: str) -> None:
    with pytest.raises(SpecError) as told:
        chosen(name)
    assert f"'my_strategies:{name}' gave" in str(told.value)
    assert what in str(told.value)
    assert "one chance a row" in str(told.value)


def test_one_that_keeps_it_is_followed(chosen: Callable[[str], object]) -> None:
    assert chosen("first") is not None
