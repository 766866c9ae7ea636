"""`whorl doctor`: lines for people, JSON for machines, and an exit code."""

import json
from pathlib import Path

from shop_cli import SPEC, run


def test_a_workspace_in_which_the_wheel_has_turned_is_well(turned: Path) -> None:
    said = run("doctor", "--spec", turned)
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[-1].endswith(", 0 bad")
    assert any(line.startswith("ok    lake: ") for line in lines)
    told = json.loads(run("doctor", "--json", "--spec", turned).output)
    assert told["ok"] is True
    assert {check["what"] for check in told["checks"]} >= {
        "python", "libraries", "disk", "workspace", "ledger file", "ledger", "clock", "keys", "lock", "lake",
        "inbox", "cycles", "outbox", "mlflow",
    }  # fmt: skip
    assert all(set(check) == {"level", "what", "where", "message", "hint"} for check in told["checks"])


def test_what_is_bad_ends_with_3_and_says_what_next(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    root = tmp_path / ".whorl"
    root.mkdir()
    (root / "ledger.db").write_bytes(b"SQLite format 3\x00 and no more")
    said = run("doctor", "--spec", spec)
    assert said.exit_code == 3
    bad = said.output[said.output.index("\nbad ") + 1 :].splitlines()
    assert bad[0].startswith(f"bad   ledger file: {root / 'ledger.db'}: ")
    assert "backup" in bad[1]
    told = json.loads(run("doctor", "--json", "--spec", spec).output)
    assert (told["ok"], told["checks"][-1]["level"]) == (False, "bad")


def test_without_a_spec_it_looks_at_the_workspace_alone(turned: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("doctor", "--workspace", turned.parent / ".whorl")
    assert said.exit_code == 0, said.output
    named = run("doctor", "--spec", tmp_path / "no.toml", "--workspace", turned.parent / ".whorl")
    assert named.exit_code == 3, "a spec that is named must be there"
