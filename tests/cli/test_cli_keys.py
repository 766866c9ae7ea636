"""`whorl key`: made before the first start, shown once, listed without the secret, taken back."""

import json
from pathlib import Path

import pytest
from shop_cli import SPEC, run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_a_key_is_shown_once(spec: Path) -> None:
    words = (
        "--flywheel",
        "shop",
        "--scope",
        "capture",
        "--scope",
        "read",
        "--name",
        "checkout",
        "--rate",
        "600/min",
    )
    made = run("key", "create", *words, "--expires", "90d", "--spec", spec)
    assert made.exit_code == 0, made.output
    [presented] = [line for line in made.output.splitlines() if line.startswith("whorl_")]
    listed = run("key", "list", "--json", "--spec", spec)
    [key] = json.loads(listed.output)
    assert (key["name"], key["flywheel"], key["scopes"]) == ("checkout", "shop", ["capture", "read"])
    assert (key["rate_per_s"], key["state"], key["last_used_at"]) == (10, "live", None)
    assert key["expires_at"] > key["created_at"]
    secret = presented.removeprefix(f"whorl_{key['id']}_")
    assert len(secret) == 43
    assert secret not in listed.output + run("key", "list", "--spec", spec).output
    assert not any(secret.encode() in path.read_bytes() for path in spec.parent.rglob("*") if path.is_file())


def test_a_key_is_taken_back(spec: Path) -> None:
    made = run("key", "create", "--all", "--scope", "admin", "--json", "--spec", spec)
    key_id = json.loads(made.output)["id"]
    assert run("key", "revoke", key_id, "--spec", spec).exit_code == 0
    assert json.loads(run("key", "list", "--json", "--spec", spec).output)[0]["state"] == "revoked"
    again = run("key", "revoke", "nobody", "--spec", spec)
    assert again.exit_code != 0
    assert "key list" in str(again.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--flywheel", "shpo", "--scope", "read"), "Did you mean 'shop'?"),
        (("--flywheel", "shop", "--scope", "write"), "capture, predict, review, read, operate, admin"),
        (("--scope", "read"), "--all"),
        (("--all", "--flywheel", "shop", "--scope", "read"), "--all"),
        (("--all", "--scope", "read", "--rate", "fast"), "100/s"),
        (("--all", "--scope", "read", "--rate", "0/s"), "100/s"),
        (("--all", "--scope", "read", "--expires", "soon"), "14d"),
    ],
)
def test_what_cannot_be_meant_makes_no_key(spec: Path, words: tuple[str, ...], said: str) -> None:
    made = run("key", "create", *words, "--spec", spec)
    assert made.exit_code != 0
    assert said in " ".join(f"{made.output} {made.exception}".replace("│", "").split())
    root = spec.parent / ".whorl"
    assert not root.exists() or json.loads(run("key", "list", "--json", "--spec", spec).output) == []
