"""`whorl replay` on an extract: the report as JSON, page and pictures, and what it prints."""

import json
from pathlib import Path

import pytest
from shop_cli import SPEC, run

SPAN = ("--from", "2025-03-01", "--to", "2025-04-01", "--every", "15d")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_replay_writes_what_it_promises(spec: Path, extract: Path, tmp_path: Path) -> None:
    other = tmp_path / "cheap.toml"
    other.write_text(SPEC.replace("budget = 50", "budget = 10"), encoding="utf-8")
    out = tmp_path / "out"
    said = run("replay", extract, "--spec", spec, "--spec", other, *SPAN, "--baselines", "static", "--json",
               out / "report.json", "--html", out / "report.html", "--png", out / "charts")  # fmt: skip
    assert said.exit_code == 0, said.output
    report = json.loads((out / "report.json").read_bytes())
    assert set(report["arms"]) == {"flywheel", "cheap", "static"}
    assert {"spec_hash", "data_hash", "seed", "arms", "meaning", "comparisons", "labels"} <= set(report)
    for arm in report["arms"].values():
        assert {"overall", "mean_of_periods", "periods", "labels_used", "rows_trained", "seconds"} <= set(arm)
        assert set(arm["overall"]) == {"auc", "average_precision", "log_loss", "accuracy"}
        assert {"value", "low", "high", "n"} == set(arm["overall"]["auc"])
        assert len(arm["periods"]) == 3
    assert report["arms"]["static"]["labels_used"] == 0
    assert report["arms"]["cheap"]["labels_used"] < report["arms"]["flywheel"]["labels_used"]
    assert (out / "report.html").stat().st_size > 10_000
    assert (out / "charts" / "quality.png").exists()
    printed = said.stdout
    assert printed.index("labels came for") < printed.index("average precision") < printed.index("2025-03-16")
    assert printed.rstrip().endswith(report["meaning"])
    assert not (tmp_path / ".whorl").exists()


def test_json_to_standard_output(spec: Path, extract: Path) -> None:
    said = run("replay", extract, "--spec", spec, *SPAN[:4], "--baselines", "none", "--json", "-")
    assert set(json.loads(said.stdout)["arms"]) == {"flywheel"}


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--from", "yesterday", "--to", "2025-04-01"), "--from"),
        (("--from", "2025-04-01", "--to", "2025-03-01"), "not before"),
        ((*SPAN[:4], "--every", "0d"), "--every"),
        ((*SPAN[:4], "--every", "monthly"), "--every"),
        ((*SPAN, "--baselines", "statik"), "statik"),
        ((*SPAN, "--sql", "sqlite:///x.db"), "Give files"),
    ],
)
def test_wrong_usage(spec: Path, extract: Path, words: tuple[str, ...], wrong: str) -> None:
    said = run("replay", extract, "--spec", spec, *words)
    assert said.exit_code == 2
    assert wrong in said.stderr
