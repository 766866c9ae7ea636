"""Trials made of bare numbers, for tests of gates."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shop import shop_spec
from whorl.evaluate.gates import Trial, run_gate
from whorl.evaluate.rows import JudgedRows
from whorl.records import Check
from whorl.spec import GateSpec, Spec
from whorl.stats.metrics.metric import metric_named

Floats = npt.NDArray[np.float64]


def rows_of(truth: Any, *, classes: tuple[str, ...] = ("False", "True"), **columns: Any) -> JudgedRows:
    n = len(truth)
    named = {f"f_{name}": pa.array(values) for name, values in columns.items()}
    table = pa.table({"id": [f"r{i}" for i in range(n)], **named})
    group = np.array([f"r{i}" for i in range(n)], dtype=object)
    return JudgedRows(table, np.asarray(truth, dtype=np.float64), classes, np.ones(n), group, {}, [])


def trial(
    truth: Any, challenger: Any, champion: Any = None, *, spec: Spec | None = None, **given: Any
) -> Trial:
    """A trial on rows of this truth; further columns of the rows are features, other names are the trial's own."""
    own = {name: given.pop(name) for name in Trial.__struct_fields__ if name in given}
    rows = own.pop("rows", None) or rows_of(truth, **given)
    made = Trial(
        spec=spec or shop_spec(), rows=rows, challenger=np.asarray(challenger, dtype=np.float64),
        champion=None if champion is None else np.asarray(champion, dtype=np.float64), look=1, metric=metric_named,
        golden=lambda _: None, own=lambda _, __: Check(check="function", decision="hold", message="not given"),
    )  # fmt: skip
    return msgspec.structs.replace(made, **own)


def checks(trial: Trial, check: str, **knobs: Any) -> Sequence[Check]:
    return run_gate(GateSpec(check=check, **knobs), trial)  # type: ignore[arg-type]


def check(trial: Trial, name: str, **knobs: Any) -> Check:
    (only,) = checks(trial, name, **knobs)
    return only


def answers(truth: Floats, right: float, seed: int = 0) -> Floats:
    """0.8 for the side that is told, which is the true one in a share `right` of the rows."""
    told = np.where(np.random.default_rng(seed).random(len(truth)) < right, truth, 1 - truth)
    return np.where(told == 1, 0.8, 0.2)


def coin(n: int, seed: int = 9) -> Floats:
    return (np.random.default_rng(seed).random(n) < 0.5).astype(np.float64)
