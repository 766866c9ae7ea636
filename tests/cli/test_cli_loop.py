"""What the commands say about a workspace in which the wheel has turned: ingest, status, cases, gate."""

import csv
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from shop_cli import SPEC, run
from sqlalchemy import insert

from whorl.cli.gate import EXIT_CODES
from whorl.flywheel import open_flywheel
from whorl.storage import cycles, verdicts
from whorl.storage.ledger.tables import findings
from whorl.storage.lock import TURNING, hold
from whorl.workspace import open_ledger


def test_ingest_keeps_the_good_and_names_the_bad(tmp_path: Path, extract: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    lines = extract.read_text(encoding="utf-8").splitlines()[:6]
    lines[3] = lines[3].replace("order-00002", "order-00002").rsplit(",", 3)[0] + ",7.5,true,2025-03-01"
    bad = tmp_path / "mixed.csv"
    bad.write_text("\n".join(lines), encoding="utf-8")
    said = run("ingest", bad, "--spec", spec)
    assert said.exit_code == 0, said.output
    assert "4 accepted" in said.output
    assert "1 refused" in said.output
    assert "line 4" in said.output
    again = run("ingest", bad, "--spec", spec, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)[0]["already"] is True


def test_ingest_of_nothing_good_fails(tmp_path: Path) -> None:
    spec, bad = tmp_path / "flywheel.toml", tmp_path / "bad.ndjson"
    spec.write_text(SPEC, encoding="utf-8")
    bad.write_text('{"order_id": ""}\nnot json\n', encoding="utf-8")
    assert run("ingest", bad, "--spec", spec).exit_code == 3
    missing = run("ingest", tmp_path / "missing.csv", bad, "--spec", spec)
    assert missing.exit_code == 3
    assert "missing.csv" in missing.stderr
    assert run("ingest", "--spec", spec).exit_code == 2
    assert run("ingest", bad, "--kind", "prediction", "--spec", spec).exit_code == 2


def test_ingest_by_sql_leaves_the_flushing_to_who_runs_it(tmp_path: Path, extract: Path) -> None:
    import sqlite3

    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    with extract.open(encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))[:21]
    with sqlite3.connect(tmp_path / "shop.db") as db:
        db.execute(f"CREATE TABLE orders ({', '.join(header)})")
        db.executemany(f"INSERT INTO orders VALUES ({', '.join('?' * len(header))})", rows)
    source = ("--sql", f"sqlite:///{tmp_path}/shop.db", "--watermark", "created_at", "--spec", spec)
    first = run("ingest", *source, "--query", "SELECT * FROM orders WHERE order_id < 'order-00010'")
    assert first.exit_code == 0, first.output
    assert "10 accepted" in first.output
    status = json.loads(run("status", "--spec", spec, "--json").stdout)
    assert status["inbox_rows"] == 0
    with open_ledger(tmp_path / ".whorl") as ledger, hold(tmp_path / ".whorl", ledger, TURNING):
        second = run("ingest", *source, "--query", "SELECT * FROM orders")
    assert second.exit_code == 0, second.output
    assert "moves it into the lake" in second.output
    assert json.loads(run("status", "--spec", spec, "--json").stdout)["inbox_rows"] > 0
    assert "records, the oldest" in run("status", "--spec", spec).output


def test_status(turned: Path) -> None:
    said = run("status", "--spec", turned)
    assert said.exit_code == 0, said.output
    assert "shop-0002 finished" in said.output
    assert "champion     shop/2" in said.output
    assert "nobody is needed" in said.output
    (one,) = json.loads(run("status", "--all", "--spec", turned, "--json").stdout)
    assert (one["flywheel"], one["versions"], one["cycle_state"]) == ("shop", 2, "finished")


def test_a_cycle_whose_process_died_needs_somebody(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    with open_flywheel(spec) as flywheel:
        ws = flywheel.workspace
        first = cycles.start(ws.ledger, "shop", "manual", ws.clock.now(), ws.spec_hash)
        cycles.move(ws.ledger, "shop", first, "running", step="train")
        with hold(ws.root, ws.ledger, TURNING):
            assert flywheel.status().needs == []
            assert "nobody is needed" in run("status", "--spec", spec).output
        stopped = f"{first} stopped in its step train, and nothing runs it."
        assert flywheel.status().needs[0].startswith(f"Cycle {stopped} Start `whorl serve`, or")
    said = run("status", "--spec", spec).output
    assert stopped in said
    assert "nobody is needed" not in said
    assert stopped in run("doctor", "--spec", spec).output, "both say the same"


def test_findings_are_dated_and_those_of_a_replaced_champion_are_left_out(
    tmp_path: Path, turned: Path
) -> None:
    spec = shutil.copytree(turned.parent, tmp_path / "shop") / "flywheel.toml"
    at = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    with open_ledger(spec.parent / ".whorl") as ledger, ledger.write() as conn:
        for facts, message in (
            ({"champion": "shop/1"}, "of the old"),
            ({"champion": None}, "of none"),
            ({"champion": "shop/2"}, "of the new"),
            ({}, "of nobody"),
        ):
            body = {"kind": "decay", "severity": "warning", "message": message, "facts": facts}
            conn.execute(
                insert(findings).values(flywheel="shop", kind="decay", severity="warning", at=at, body=body)
            )
    said = run("status", "--spec", spec).output
    assert "warning      2026-03-04 05:06 UTC: of the new" in said
    assert "warning      2026-03-04 05:06 UTC: of nobody" in said
    assert "of the old" not in said
    assert "of none" not in said
    told = json.loads(run("status", "--spec", spec, "--json").stdout)["findings"]
    assert [one["finding"]["message"] for one in told][:2] == ["of nobody", "of the new"]
    assert told[0]["at"].startswith("2026-03-04T05:06")


def test_a_champion_that_is_declared_is_named(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC + '[champion]\nversion = "xgb-2024-11"\n', encoding="utf-8")
    with open_flywheel(spec):
        pass
    text = run("status", "--spec", spec).output
    facts = json.loads(run("status", "--spec", spec, "--json").stdout)
    assert "xgb-2024-11, by [champion] version" in text
    assert (facts["champion"], facts["declared"]) == (None, "xgb-2024-11")
    assert facts["waiting"] is None, "every key is there"


def test_status_says_what_a_first_cycle_without_a_champion_needs(tmp_path: Path, extract: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    gates = 'gates = [{ check = "better", margin = 0.5 }]'
    spec.write_text(SPEC.replace("gates = []", gates), encoding="utf-8")
    assert run("ingest", extract, "--spec", spec).exit_code == 0
    turn = run("cycle", "run", "--spec", spec)
    assert "champion is none" in turn.output
    assert "[champion] trained_through is not declared" in turn.output
    (need,) = json.loads(run("status", "--spec", spec, "--json").stdout)["needs"]
    assert need.startswith("There is no champion yet. The gates said reject of shop/1 against the scores in")
    assert "[champion] version and trained_through" in need
    assert "whorl model promote 1" in need
    assert run("model", "show", "1", "--spec", spec).output.endswith("It has never been champion.\n")
    said = subprocess.run(
        [sys.executable, "-c", "from whorl.cli import main; main()", "model", "promote", "1", "--spec", spec],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (said.stdout, said.stderr) == ("Champion is shop/1, before it was none.\n", "")
    assert "nobody is needed" in run("status", "--spec", spec).output


def test_a_dataset_goes_to_the_file_that_is_named(turned: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    said = run("dataset", "export", "training@1", out, "--spec", turned)
    assert said.exit_code == 0, said.output
    assert f"rows written to {out}." in said.output
    assert out.read_text(encoding="utf-8").startswith('"id",')
    assert run("dataset", "export", "training@1", "--spec", turned).exit_code == 2


def test_status_without_a_workspace_or_flywheel(tmp_path: Path, turned: Path) -> None:
    assert "no workspace" in str(run("status", "--all", "--spec", tmp_path / "flywheel.toml").exception)
    other = tmp_path / "flywheel.toml"
    other.write_text(SPEC.replace('"shop"', '"shp"', 1), encoding="utf-8")
    refused = run("status", "--spec", other, "--workspace", turned.parent / ".whorl")
    assert "Did you mean 'shop'?" in str(refused.exception)


def test_cases(turned: Path) -> None:
    listed = json.loads(run("cases", "list", "--spec", turned, "--limit", "500", "--json").stdout)
    second = [case for case in listed if case["cycle_id"] == "shop-0002"]
    assert 30 <= len(second) <= 70
    missed = json.loads(run("cases", "list", "--spec", turned, "--reason", "missed", "--json").stdout)
    assert missed
    assert all("missed" in case["reasons"] and case["score"] < 0.5 and case["label"] for case in missed)
    assert "missed" in run("cases", "list", "--spec", turned, "--cycle", "shop-0002").output
    assert run("cases", "list", "--spec", turned, "--cycle", "none").output.startswith("No case fits")
    unknown = run("cases", "list", "--spec", turned, "--reason", "mised")
    assert unknown.output.startswith(
        "No case has the reason 'mised'. Did you mean 'missed'? Known: initial, "
    )
    assert json.loads(run("cases", "list", "--spec", turned, "--reason", "mised", "--json").output) == []
    assert run("cases", "list", "--asked", "--spec", turned).output.startswith("No row waits")
    by_reason = json.loads(run("cases", "reasons", "--spec", turned, "--json").stdout)
    assert {"cycle_id": "shop-0001", "reason": "initial"}.items() <= by_reason[-1].items()
    sql = run("cases", "list", "--explain", "--spec", turned).output
    assert "-- step: candidates" in sql
    assert "rule_0" in sql


def test_why_a_case_was_chosen(turned: Path) -> None:
    (case, *_) = json.loads(run("cases", "list", "--spec", turned, "--reason", "missed", "--json").stdout)
    said = run("cases", "explain", case["id"], "--spec", turned).output
    assert "shop-0002" in said
    story = json.loads(run("cases", "explain", case["id"], "--spec", turned, "--json").stdout)
    assert story["picked"][-1]["probability"] == case["probability"]
    if case["reason"] == "missed":
        assert story["picked"][-1]["why"] == "the rule: score < 0.5 and label"
    assert any(name.startswith("training@2") for name in story["datasets"])


def test_why_a_case_was_not_chosen(turned: Path, tmp_path: Path) -> None:
    from whorl.flywheel import open_flywheel

    with open_flywheel(turned) as flywheel:
        ws = flywheel.workspace
        rows = ws.examples(ws.clock.now()).select("id, split", order="id").to_pylist()
    chosen = {
        c["id"]
        for c in json.loads(run("cases", "list", "--spec", turned, "--limit", "2000", "--json").stdout)
    }
    held_out = next(row["id"] for row in rows if row["split"] == "holdout")
    passed_over = next(row["id"] for row in rows if row["split"] == "train" and row["id"] not in chosen)
    assert "never trained on" in run("cases", "explain", held_out, "--spec", turned).output
    assert (
        "considered in cycle shop-0002, and not drawn"
        in run("cases", "explain", passed_over, "--spec", turned).output
    )
    golden = tmp_path / "golden.txt"
    golden.write_text(passed_over, encoding="utf-8")
    assert run("dataset", "golden", "vip", "--ids", golden, "--spec", turned).exit_code == 0
    assert (
        "It is golden (vip@1): every challenger"
        in run("cases", "explain", passed_over, "--spec", turned).output
    )
    assert "no prediction 'x'" in str(run("cases", "explain", "x", "--spec", turned).exception)


@pytest.mark.parametrize(("gates", "decision"), [
    ('[{ check = "minimum", metric = "auc", value = 0.5 }]', "promote"),
    ('[{ check = "minimum", metric = "auc", value = 0.999 }]', "reject"),
    ('[{ check = "minimum", metric = "auc", value = 0.5, min_rows = 100000 }]', "hold"),
])  # fmt: skip
def test_gate_answers_by_exit_code(turned: Path, tmp_path: Path, gates: str, decision: str) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC.replace("gates = []", f"gates = {gates}"), encoding="utf-8")
    said = run("gate", "--spec", spec, "--workspace", turned.parent / ".whorl", "--challenger", "1")
    assert said.exit_code == EXIT_CODES[decision], said.output
    verdict = json.loads(said.stdout)
    assert (verdict["decision"], verdict["challenger"]) == (decision, "shop/1")
    human = run(
        "gate", "--human", "--spec", spec, "--workspace", turned.parent / ".whorl", "--challenger", "1"
    )
    assert human.stdout.startswith(f"{decision}: minimum")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [((), "after the champion shop/2"), (("--challenger", "2"), "not judged against itself")],
)
def test_gate_never_judges_the_champion_against_itself(
    turned: Path, words: tuple[str, ...], wrong: str
) -> None:
    with open_ledger(turned.parent / ".whorl") as ledger:
        looks = verdicts.looks(ledger, "shop")
        said = run("gate", "--spec", turned, *words)
        assert wrong in str(said.exception)
        assert verdicts.looks(ledger, "shop") == looks


def test_gate_judges_what_ci_hands_in(turned: Path, tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    gates = '[{ check = "minimum", metric = "auc", value = 0.5 }]'
    spec.write_text(SPEC.replace("gates = []", f"gates = {gates}"), encoding="utf-8")
    place = ("--spec", spec, "--workspace", turned.parent / ".whorl")
    model = turned.parent / ".whorl" / "models" / "shop" / "1"
    said = run("gate", *place, "--model", model)
    assert said.exit_code == 0, said.output
    scores = tmp_path / "scores.csv"
    with scores.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "score"), *((f"order-{n:05d}", 0.5) for n in range(1500))])
    assert run("gate", *place, "--scores", scores).exit_code in (1, 2)
    assert run("gate", *place, "--scores", scores, "--model", model).exit_code == 3
