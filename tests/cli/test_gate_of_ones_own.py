"""`whorl gate` with functions of one's own that answer wrongly: a message and exit code 3, never 1, which says "reject"."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from shop_cli import SPEC

from whorl.cli.app import main

FUNCTIONS = """
import numpy as np
from whorl import Check

def text(truth, said, weight=None): return "good"
def nothing(truth, said, weight=None): return None
def each_row(truth, said, weight=None): return np.abs(truth - said)
def fails(truth, said, weight=None): raise RuntimeError("no prices")
def no_number(truth, said, weight=None): return float("nan")
def infinite(truth, said, weight=None): return np.float64("inf")
def small(truth, said, weight=None): return np.float32(0.25)

def unknown(trial): return Check(check="mine", decision="yes please", message="fine", value=1.0)
def of_text(trial): return Check(check="mine", decision="promote", message="fine", value="1")
def of_nothing(trial): return None
def undefined(trial): return Check(check="mine", decision="promote", message="fine", value=float("nan"), rows=np.int64(7))
"""


class Said(NamedTuple):
    code: int | str | None
    stdout: str
    stderr: str


Gate = Callable[[str], Said]


@pytest.fixture
def gate(
    turned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gate:
    """The whole command, as a shell runs it, with one gate."""

    def asked(given: str) -> Said:
        spec = tmp_path / "flywheel.toml"
        spec.write_text(SPEC.replace("gates = []", f"gates = [{{ {given} }}]"), encoding="utf-8")
        (tmp_path / "shop_own.py").write_text(FUNCTIONS, encoding="utf-8")
        place = ["--workspace", str(turned.parent / ".whorl"), "--challenger", "1"]
        sys.modules.pop("shop_own", None)
        monkeypatch.setattr(sys, "argv", ["whorl", "gate", "--spec", str(spec), *place])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(ended.value.code, *capsys.readouterr())

    return asked


def by(metric: str) -> str:
    return f'check = "minimum", value = 0.1, metric = "shop_own:{metric}"'


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("text", "answered 'good'."),
        ("nothing", "answered None."),
        ("each_row", "answered an array of shape ("),
        ("fails", "RuntimeError: no prices."),
    ],
)
def test_a_metric_that_is_no_number(gate: Gate, metric: str, found: str) -> None:
    said = gate(by(metric))
    assert (said.code, said.stdout) == (3, "")
    assert said.stderr.startswith(f"whorl: evaluate.metric: shop_own:{metric} ")
    assert found in said.stderr
    assert said.stderr.endswith(
        "It is called as fn(truth, prediction, weight), and returns a number: docs/gates.md.\n"
    )


@pytest.mark.parametrize("metric", ["no_number", "infinite"])
@pytest.mark.parametrize("check", ["minimum", "better"])
def test_a_metric_without_a_finite_number_holds_and_is_named(gate: Gate, metric: str, check: str) -> None:
    said = gate(by(metric).replace("minimum", check))
    assert said.code == 2, said.stderr
    (only,) = json.loads(said.stdout)["checks"]
    assert only["message"].startswith(f"shop_own:{metric} gave nan or an infinity for these rows")
    assert (only["value"], only["low"], only["spent"]) == (None, None, 0.0)


def test_a_number_of_numpy_is_a_number(gate: Gate) -> None:
    said = gate(by("small"))
    assert said.code == 0, said.stderr


@pytest.mark.parametrize(
    ("function", "found"),
    [
        ("unknown", "Invalid enum value 'yes please' - at `$.decision`. It is called with a Trial"),
        ("of_text", "`$.value`"),
        ("of_nothing", "answered NoneType."),
    ],
)
def test_a_gate_whose_answer_does_not_fit(gate: Gate, function: str, found: str) -> None:
    said = gate(f'check = "function", function = "shop_own:{function}"')
    assert (said.code, said.stdout) == (3, "")
    assert said.stderr.startswith(f"whorl: evaluate.gates: shop_own:{function} answered ")
    assert found in said.stderr


def test_an_undefined_figure_of_ones_own_gate_is_null(gate: Gate) -> None:
    said = gate('check = "function", function = "shop_own:undefined"')
    assert said.code == 0, said.stderr
    (only,) = json.loads(said.stdout)["checks"]
    assert (only["value"], only["rows"]) == (None, 7)


def test_a_fault_of_whorls_own_is_an_error_and_no_reject(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def crashed(**_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("whorl.cli.app.app", crashed)
    said = gate(by("small"))
    assert (said.code, said.stdout) == (3, "")
    assert said.stderr.endswith("ZeroDivisionError: a fault\n")
