"""`import whorl` costs next to nothing: what is heavy is loaded by the first name that needs it. Counted, not timed."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic", "altair", "deltalake", "duckdb", "granian", "httpx", "lightgbm", "litestar", "mlflow", "numpy", "pandas",
    "psycopg", "pyarrow", "rich", "scipy", "sklearn", "sqlalchemy", "sqlglot", "typer",
}  # fmt: skip
# What the command line may load to print its help.
CLI_ALLOWED = {"typer", "rich"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    told = (
        f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    out = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
    return set(json.loads(out.splitlines()[-1]))


def test_import_whorl_loads_nothing_heavy() -> None:
    assert not loaded_by("import whorl") & HEAVY


def test_the_client_loads_httpx_and_msgspec_and_what_they_need() -> None:
    code = "import sys, whorl; whorl.connect, whorl.track"
    ours = {"whorl", "httpx", "msgspec"}
    needed = loaded_by("import asyncio, httpx, msgspec") | set(sys.stdlib_module_names)
    assert {name for name in loaded_by(code) - needed if not name.startswith("_")} == ours - needed


def test_the_embedded_face_does_not_load_the_clients_network() -> None:
    """Its verbs and `track` share the client's records, not its HTTP."""
    assert "httpx" not in loaded_by("import whorl.client.track, whorl.client.shapes, whorl.client.encode")


def test_help_loads_no_more_than_it_prints_with() -> None:
    code = """
import contextlib, io, sys
from whorl.cli import main
sys.argv = ["whorl", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""
    assert not loaded_by(code) & (HEAVY - CLI_ALLOWED)


@pytest.mark.parametrize("module", ["duckdb", "pyarrow"])
def test_the_check_sees_a_heavy_import(module: str) -> None:
    assert module in loaded_by(f"import whorl, {module}")
