"""What every benchmark prints and writes: figures beside their targets, the command, the machine."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured figure. `at_most`: smaller is better; the target is None where the figure is only reported."""

    name: str
    ours: float
    other: float | None = None
    target: float | None = None
    at_most: bool = True

    @property
    def ratio(self) -> float | None:
        return None if not self.other else self.ours / self.other

    @property
    def holds(self) -> bool | None:
        if self.target is None:
            return None
        return self.ours <= self.target if self.at_most else self.ours >= self.target


def options(description: str | None) -> argparse.Namespace:
    """`--quick` for a short form, `--json OUT` for the figures as JSON."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short form, for a look")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def report(claim: str, figures: Sequence[Figure], out: Path | None) -> None:
    """Print the table; write the JSON."""
    print(f"\n{claim}\n")
    print(f"{'figure':<46} {'ours':>10} {'other':>10} {'target':>10}  holds")
    for figure in figures:
        target = "" if figure.target is None else f"{'<=' if figure.at_most else '>='}{figure.target:g}"
        other = "" if figure.other is None else f"{figure.other:.4g}"
        holds = {None: "", True: "yes", False: "NO"}[figure.holds]
        print(f"{figure.name:<46} {figure.ours:>10.4g} {other:>10} {target:>10}  {holds}")
    if out is not None:
        rows = [_finite(asdict(f) | {"ratio": f.ratio, "holds": f.holds}) for f in figures]
        machine = {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
        document = {"claim": claim, "command": " ".join(sys.argv), "machine": machine, "figures": rows}
        out.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _finite(row: dict[str, object]) -> dict[str, object]:
    """What was not reached, or is not defined, is null in JSON."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in row.items()
    }


def data_folder(name: str) -> Path:
    """A folder of the real data, by $WHORL_DATA."""
    place = Path(os.environ.get("WHORL_DATA", "../shared/data")) / name
    if not place.is_dir():
        sys.exit(f"{place} is not there. Set WHORL_DATA to the folder that holds {name}.")
    return place
