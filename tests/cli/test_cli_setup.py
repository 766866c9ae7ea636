"""`whorl init` writes a spec that can be read, also from an extract; `whorl spec check` says what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shop_cli import SPEC, run

from whorl.spec import load_spec


def test_init_writes_and_never_overwrites(tmp_path: Path) -> None:
    place = tmp_path / "My Shop"
    assert run("init", place).exit_code == 0
    spec = load_spec(place / "flywheel.toml")
    assert (spec.name, spec.task) == ("my-shop", "binary")
    again = run("init", place)
    assert again.exit_code != 0
    assert "one already" in str(again.exception)
    assert run("init", place, "--force", "--task", "regression", "--name", "prices").exit_code == 0
    assert load_spec(place / "flywheel.toml").task == "regression"
    assert run("init", tmp_path / "other", "--task", "ranking").exit_code == 2


def test_init_guesses_from_an_extract(tmp_path: Path, extract: Path) -> None:
    said = run("init", tmp_path, "--from", extract)
    assert said.exit_code == 0, said.output
    assert "guessed: label = is_fraud" in said.output
    spec = load_spec(tmp_path / "flywheel.toml")
    assert spec.task == "binary"
    found = spec.schema
    assert (found.id, found.time, found.label, found.label_time, found.score) == (
        "order_id", "created_at", "is_fraud", "label_time", "score"
    )  # fmt: skip
    assert {name: feature.type for name, feature in spec.features.items()} == {
        "amount": "float", "age": "float", "shop": "category"
    }  # fmt: skip


def test_init_guesses_nested_records(tmp_path: Path) -> None:
    records = [
        {"transaction_id": f"t{n}", "timestamp": f"2024-01-{n % 28 + 1:02d}T10:00:00Z", "user_id": f"u{n % 5}",
         "features": {"spent": n * 1.5, "is_new": n % 3 == 0}, "prediction": {"fraud_probability": n / 100},
         "ground_truth": {"is_fraud": n % 7 == 0, "timestamp": "2024-02-01T00:00:00Z"},
         "note": f"a note about order number {n} that goes on for quite a while", "time": n}
        for n in range(60)
    ]  # fmt: skip
    path = tmp_path / "records.ndjson"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    assert run("init", tmp_path / "made", "--from", path).exit_code == 0
    spec = load_spec(tmp_path / "made" / "flywheel.toml")
    assert (spec.schema.id, spec.schema.time, spec.schema.group) == ("transaction_id", "timestamp", "user_id")
    assert (spec.schema.label, spec.schema.label_time) == ("ground_truth.is_fraud", "ground_truth.timestamp")
    assert spec.schema.score == "prediction.fraud_probability"
    assert {name: (f.type, f.path) for name, f in spec.features.items()} == {
        "spent": ("float", None), "is_new": ("bool", None), "note": ("text", None), "event_time": ("int", "time")
    }  # fmt: skip


def _written(path: Path, columns: str, rows: list[str]) -> Path:
    path.write_text("\n".join([columns, *rows]), encoding="utf-8")
    return path


def test_init_guesses_tickets_with_their_text_and_who_wrote_them(tmp_path: Path) -> None:
    rows = [
        f"{n},2025-01-{n % 28 + 1:02d},u{n % 50},word{n} is broken,en,{'bug' if n % 2 else 'bill'}"
        for n in range(200)
    ]
    path = _written(tmp_path / "tickets.csv", "id,when,user,text,lang,label", rows)
    assert run("init", tmp_path / "made", "--from", path).exit_code == 0
    spec = load_spec(tmp_path / "made" / "flywheel.toml")
    assert (spec.task, spec.schema.time, spec.schema.group) == ("multiclass", "when", "user")
    assert {name: feature.type for name, feature in spec.features.items()} == {
        "text": "text",
        "lang": "category",
    }
    assert spec.train.trainer == "linear-text"


def test_init_makes_no_feature_of_what_may_be_the_truth(tmp_path: Path) -> None:
    rows = [f"{n},2025-01-{n % 28 + 1:02d},{n * 1.5},b,{n * 7.3},2025-02-01" for n in range(60)]
    path = _written(tmp_path / "price.csv", "id,time,sqm,city,price,label_time", rows)
    said = run("init", tmp_path / "made", "--from", path)
    assert said.exit_code == 0, said.output
    assert "perhaps the label is price, a regression task" in said.output
    text = (tmp_path / "made" / "flywheel.toml").read_text(encoding="utf-8")
    assert '\n#label = "price"\n' in text
    spec = load_spec(tmp_path / "made" / "flywheel.toml")
    assert (spec.schema.label, set(spec.features)) == (None, {"sqm", "city"})


def test_init_knows_a_loan_that_defaulted(tmp_path: Path) -> None:
    rows = [f"L{n},2025-01-{n % 28 + 1:02d},{n},{n % 3 == 0}".lower() for n in range(60)]
    path = _written(tmp_path / "loans.csv", "loan_id,when,amount,defaulted", rows)
    assert run("init", tmp_path / "made", "--from", path).exit_code == 0
    assert load_spec(tmp_path / "made" / "flywheel.toml").schema.label == "defaulted"


@pytest.mark.parametrize("name", ["missing.csv", "what.bin"])
def test_init_says_what_it_cannot_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "what.bin").write_bytes(b"\0")
    refused = run("init", tmp_path / "made", "--from", tmp_path / name)
    assert refused.exit_code != 0
    assert not (tmp_path / "made").exists()


def test_spec_check(tmp_path: Path) -> None:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC, encoding="utf-8")
    good = run("spec", "check", path)
    assert good.exit_code == 0
    assert "shop, a binary task" in good.output
    path.write_text(SPEC.replace("score < 0.5 and label", "scoer < 0.5") + "\n[[curate.rules]]\nname = 'b'\n"
                    "when = 'label'\nseverity = 'pg_sleep(9)'\n", encoding="utf-8")  # fmt: skip
    bad = run("spec", "check", path, "--json")
    assert bad.exit_code == 3
    problems = json.loads(bad.stdout)["problems"]
    assert len(problems) == 2
    assert "Did you mean 'score'?" in problems[0]
    assert problems[1].startswith("curate.rules.b.severity")
    path.write_text(
        SPEC.replace('label = "is_fraud"\n', "") + "\n[curate.golden]\nwhen = 'label > 3'\n", encoding="utf-8"
    )
    said = json.loads(run("spec", "check", path, "--json").stdout)
    assert "These cannot be compared" in said["problems"][0]
    assert said["warnings"][0].startswith("schema.label: Not set")
    path.write_text("name = 3\nbugdet = 1", encoding="utf-8")
    worse = run("spec", "check", path)
    assert worse.exit_code == 3
    assert len(worse.stderr.splitlines()) == 3


def test_spec_check_imports_what_the_spec_names(tmp_path: Path) -> None:
    path = tmp_path / "flywheel.toml"
    own = '[curate]\nstrategy = "own_chances:nothere"\n[train]\ntrainer = "not_here_at_all:fit"\n[evaluate]\nmetric = "own_chances:pick"\n'
    path.write_text(f'name = "shop"\ntask = "binary"\n{own}', encoding="utf-8")
    (tmp_path / "own_chances.py").write_text("def pick(pool, budget):\n    return 0\n", encoding="utf-8")
    found = run("spec", "check", path, "--json")
    assert found.exit_code == 3
    strategy, trainer = json.loads(found.stdout)["problems"]
    assert strategy.startswith("curate.strategy: Module 'own_chances' has no function 'nothere'.")
    assert trainer.startswith("train.trainer: There is no module 'not_here_at_all'.")


def test_it_runs_as_a_module() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "whorl", "--help"], capture_output=True, text=True, check=True
    )
    assert "A data flywheel" in said.stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom whorl.cli.app import app\nfrom typer.main import get_command\nget_command(app)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"duckdb", "sqlalchemy", "lightgbm", "sklearn", "mlflow", "litestar", "pandas", "pyarrow", "numpy",
             "altair", "msgspec", "sqlglot", "httpx"}  # fmt: skip
    assert "typer" in loaded
    assert not heavy & set(loaded)
