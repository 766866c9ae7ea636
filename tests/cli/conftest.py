"""A shop's extract and a workspace in which the wheel has turned twice, made once for all tests here."""

from pathlib import Path

import pyarrow.csv
import pytest
from shop_cli import SPEC, orders, run


@pytest.fixture(scope="session")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("extract") / "orders.csv"
    pyarrow.csv.write_csv(orders(), path)
    return path


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory, extract: Path) -> Path:
    """A spec beside a workspace that took the extract in and turned twice, the second time with more orders."""
    spec = tmp_path_factory.mktemp("shop") / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    lines = extract.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, part in enumerate((lines[:801], [lines[0], *lines[801:]])):
        path = spec.parent / f"part-{number}.csv"
        path.write_text("".join(part), encoding="utf-8")
        assert run("ingest", path, "--spec", spec).exit_code == 0
        turn = run("cycle", "run", "--spec", spec)
        assert turn.exit_code == 0, turn.output
    return spec
