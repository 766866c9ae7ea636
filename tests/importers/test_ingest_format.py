"""`whorl ingest --format`: its options, what it prints, and a process that is killed in the middle of a file."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest
from deltalake import DeltaTable
from log_lines import log_line
from typer.testing import CliRunner, Result

from whorl.cli.app import app

SPEC = """
name = "assistant"
task = "generation"
[train]
trainer = "external"
"""
SLOWLY = """
import sys
from whorl.capture.importers import json_lines
json_lines.CHUNK_ROWS = 25
from whorl.cli.app import app
app(sys.argv[1:])
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_it_says_what_became_of_the_rows(spec: Path, lines: Any) -> None:
    path = lines(log_line(1), {"hello": 1}, log_line(2))
    first = run("ingest", path, "--format", "nvidia", "--spec", spec)
    assert first.exit_code == 0, first.output
    assert "2 accepted, 1 refused" in first.output
    assert "line 2: this is no row of nvidia" in first.output
    again = run("ingest", path, "--format", "nvidia", "--spec", spec, "--json")
    assert again.exit_code == 0
    (report,) = msgspec.json.decode(again.stdout)
    assert (report["accepted"], report["already"]) == (0, True)


def test_by_its_name_a_file_is_what_it_was(spec: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.ndjson"
    path.write_text('{"id": "a", "time": "2025-12-01T00:00:00Z", "output": "Yes."}\n')
    assert "1 accepted" in run("ingest", path, "--spec", spec).output


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["x.jsonl", "--format", "excel"], "none of auto, nvidia"),
        (["x.jsonl", "--format", "nvidia", "--since", "2026-01-01"], "--format mlflow"),
        (["x.jsonl", "--truth", "helpful"], "--format"),
        (["x.jsonl", "--format", "nvidia", "--kind", "labels"], "--kind"),
        (["x.jsonl", "--format", "mlflow", "--experiment", "a"], "tracking URI"),
    ],
)
def test_options_that_do_not_go_together(spec: Path, words: list[str], part: str) -> None:
    result = run("ingest", *words, "--spec", spec)
    assert result.exit_code == 2
    assert part in " ".join(result.output.replace("│", " ").split())


def test_a_store_that_is_not_there(spec: Path, tmp_path: Path) -> None:
    result = run("ingest", "--format", "mlflow", f"sqlite:///{tmp_path}/none.db", "--spec", spec)
    assert result.exit_code == 3
    assert "There is no such database" in result.output


def test_a_process_that_is_killed_goes_on(spec: Path, lines: Any) -> None:
    path = lines(*(log_line(number) for number in range(1500)))
    command = [sys.executable, "-c", SLOWLY, "ingest", str(path), "--format", "nvidia", "--spec", str(spec)]
    lake = spec.parent / ".whorl" / "lake" / "assistant" / "predictions"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = monotonic() + 60
    while not (lake / "_delta_log" / f"{4:020}.json").exists():
        assert process.poll() is None
        assert monotonic() < deadline
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    part = DeltaTable(lake).to_pyarrow_table(columns=["id"])["id"].to_pylist()
    assert 0 < len(part) < 1500
    result = run("ingest", path, "--format", "nvidia", "--spec", spec)
    assert f"{len(part)} record(s) were in the lake already." in result.output
    whole = DeltaTable(lake).to_pyarrow_table(columns=["id"])["id"].to_pylist()
    assert sorted(whole) == sorted(f"chatcmpl-a{number}" for number in range(1500))
