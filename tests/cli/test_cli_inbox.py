"""`whorl inbox`: what could not be read is listed, and goes back."""

import json
from pathlib import Path

from shop_cli import run

from whorl.flywheel import open_flywheel
from whorl.storage.ledger.tables import inbox

SPEC = 'name = "shop"\ntask = "binary"\n[schema.features]\namount = "float"\n'


def test_listed_and_put_back(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    with open_flywheel(spec) as flywheel:
        assert "Nothing was set aside" in run("inbox", "list", "--spec", spec).stdout
        flywheel.log_prediction({"id": "a", "amount": 1.0})
        with flywheel.workspace.ledger.write() as conn:
            conn.execute(inbox.update().values(payload=b"rotten"))
        flywheel.flush()
        (found,) = json.loads(run("inbox", "list", "--spec", spec, "--json").stdout)
        assert (found["kind"], found["rows"]) == ("predictions", 1)
        assert "ValidationError" in run("inbox", "list", "--spec", spec, "--json").stdout
        assert "1 batch(es) are back" in run("inbox", "retry", "--spec", spec).stdout
        assert flywheel.workspace.inbox.depth("shop").rows == 1
        assert json.loads(run("inbox", "retry", "--spec", spec, "--json").stdout) == {"batches": 0}
