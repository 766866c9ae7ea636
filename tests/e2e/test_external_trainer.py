"""Training and releasing left to others: the cycle hands out, waits in the ledger, and goes on, or fails in words."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from payments import payments, spec_text
from typer.testing import CliRunner, Result
from whorl_process import Server, done, until

from whorl.capture.accept import accept
from whorl.cli.app import app
from whorl.clock import SimulatedClock
from whorl.cycle import CycleReport, start, turn
from whorl.errors import ReleaseError, StateError, TrainingFailed
from whorl.release.release import release
from whorl.serve.wheel import Wheel
from whorl.spec import load_spec
from whorl.storage import cycles
from whorl.storage.outbox import Outbox
from whorl.workspace import open_workspace

TOLD, SECRET = "WHORL_TEST_SECRET", "between the two of us"
MINIMUM = '[{ check = "minimum", metric = "auc", value = 0.6, min_rows = 20 }]'


class Receiver(HTTPServer):
    """The company's deployer: keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/deploy"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def spec(tmp_path: Path, receiver: Receiver) -> Path:
    """Trained by others, released by others."""
    path = tmp_path / "flywheel.toml"
    release = f'[release]\nvia = "external"\nwebhook = "{receiver.url}"\nsecret_env = "{TOLD}"\nconfirm_within = "3d"'
    path.write_text(spec_text(release, gates=MINIMUM, train='trainer = "external"\ntimeout = "2d"'))
    return path


def their_model(dataset: Path, to: Path) -> Path:
    """What a company's training job does with the rows that it is handed."""
    rows = pq.read_table(dataset)
    labelled = rows.filter(pa.compute.equal(rows["role"], "labelled")).to_pandas()
    frame = pd.DataFrame({name: labelled[name] for name in ("amount", "age")}).assign(
        shop=labelled["shop"].astype("category")
    )
    data = lightgbm.Dataset(frame, labelled["label"].astype(int), weight=labelled["weight"])
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    lightgbm.train(given, data, 20).save_model(to)
    return to


def test_waits_across_restarts_for_a_model_and_for_the_confirmation_of_its_release(
    spec: Path, receiver: Receiver
) -> None:
    server = Server(spec, **{TOLD: SECRET})
    try:
        rows = {"records": payments(400)}
        assert server.http.post("/v1/flywheels/fraud/predictions", json=rows).status_code == 202
        server.http.post("/v1/flywheels/fraud/cycles")
        offer = server.awaited("waiting", "model")["waiting_for"]
        server.kill()
        model = their_model(Path(offer["where"]), spec.parent / "theirs.txt")
        # A path relative to where the training job runs, not to the server's.
        assert "Taken" in done("cycle", "submit", "--model", model.name, "--spec", spec, cwd=spec.parent)
        server.start()
        server.awaited("waiting", "confirmation")
        until(lambda: receiver.got, server.log.read_text)
    finally:
        server.close()
    status = json.loads(_said("status", None, spec, "--json").stdout)
    assert (status["champion"], status["waiting"]["what"]) == (None, "confirmation")
    assert "submit fraud-0001 --confirm" in status["needs"][0]
    _said("cycle", "submit", spec, "--confirm", "--by", "deployer")
    assert json.loads(_said("cycle", "run", spec, "--json").stdout)["state"] == "finished"
    assert json.loads(_said("model", "list", spec, "--json").stdout)["champion"] == "fraud/1"
    ((headers, body),) = receiver.got
    signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Whorl-Signature"] == f"sha256={signed}"
    told = json.loads(body)
    assert (told["event"], told["cycle"], told["model"]["id"]) == (
        "release.requested",
        "fraud-0001",
        "fraud/1",
    )
    assert Path(told["model"]["uri"], "model.txt").exists()


def test_scores_are_judged_in_the_place_of_a_model(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(spec_text(gates=MINIMUM, train='trainer = "external"'))
    rows = payments(400)
    _ingested(spec, rows)
    assert json.loads(_said("cycle", "run", spec, "--json").stdout)["waiting"]["what"] == "model"
    scores = tmp_path / "scores.csv"
    amount = np.array([row["amount"] for row in rows])
    pa.csv.write_csv(
        pa.table({"id": [row["id"] for row in rows], "score": 1 / (1 + np.exp(-3 * amount))}), scores
    )
    assert "Taken" in _said("cycle", "submit", spec, "--scores", str(scores)).stdout
    report = json.loads(_said("cycle", "run", spec, "--json").stdout)
    assert (report["state"], report["challenger"]["trainer"]) == ("finished", "scores")
    assert report["verdict"]["metrics"]["auc"]["challenger"]["value"] > 0.75
    # And the wheel goes on turning when the champion has no files of its own.
    _ingested(spec, payments(300, seed=1, first=400))
    assert json.loads(_said("cycle", "run", spec, "--json").stdout)["state"] == "waiting"
    worse = tmp_path / "worse.csv"
    worse.write_text("id,score\n" + "".join(f"{row['id']},{row['amount'] < 0:d}\n" for row in rows))
    _said("cycle", "submit", spec, "--scores", str(worse))
    report = json.loads(_said("cycle", "run", spec, "--json").stdout)
    assert (report["state"], report["release"]["version"]) == ("rejected", "fraud/1")  # fmt: skip


def test_a_model_that_does_not_come_in_time_fails_the_cycle(spec: Path, clock: SimulatedClock) -> None:
    with open_workspace(load_spec(spec), spec.parent / ".whorl", clock=clock, mirror=False) as ws:
        accept(ws, "predictions", payments(300))
        wheel = Wheel(ws, ws)
        cycle_id = start(ws, "manual")
        assert turn(ws, cycle_id).waiting.until == clock.now() + timedelta(days=2)  # type: ignore[union-attr]
        clock.advance(timedelta(days=2) - timedelta(seconds=1))
        assert not _turns(wheel), "a second too early"
        assert turn(ws, cycle_id).state == "waiting"
        clock.advance(timedelta(seconds=1))
        (overdue,) = _turns(wheel)
        with pytest.raises(TrainingFailed, match=r"No model was handed in within 2d \(\[train\] timeout\)"):
            wheel.run(overdue)
        failed = cycles.get(ws.ledger, ws.name, cycle_id)
        assert failed.state == "failed"
        assert "within 2d" in failed.error["message"]  # type: ignore[index]
        with pytest.raises(StateError, match="does not wait for model: it is failed"):
            cycles.submit(ws.ledger, ws.name, cycle_id, "model", "late.txt", "them")
        assert start(ws, "manual") == "fraud-0002", "and the next one may start"


def test_a_model_handed_in_on_the_last_day_counts_even_when_nobody_turned_the_wheel(
    spec: Path, clock: SimulatedClock
) -> None:
    with open_workspace(load_spec(spec), spec.parent / ".whorl", clock=clock, mirror=False) as ws:
        _offered(ws)
        clock.advance(timedelta(days=5))
        assert turn(ws, "fraud-0001").state == "waiting"
        assert ws.registry.challenger() is not None


@pytest.mark.parametrize(("answer", "why"), [(None, "Nobody confirmed the release within 3d"),
                                             ("disk full", "deployer did not confirm the release: disk full")])  # fmt: skip
def test_a_release_that_is_not_confirmed_leaves_the_champion(
    spec: Path, clock: SimulatedClock, answer: str | None, why: str
) -> None:
    with open_workspace(load_spec(spec), spec.parent / ".whorl", clock=clock, mirror=False) as ws:
        _offered(ws)
        report = turn(ws, "fraud-0001")
        assert report.waiting is not None
        assert report.verdict is not None
        release(ws, report.verdict, "fraud-0001")
        assert len(Outbox(ws.ledger).due(clock.now())) == 1, "a step that runs again does not tell it again"
        assert report.waiting.until == clock.now() + timedelta(days=3)
        if answer is None:
            clock.advance(timedelta(days=3))
        else:
            cycles.submit(ws.ledger, ws.name, "fraud-0001", "confirmation", answer, "deployer")
        with pytest.raises(ReleaseError, match=why):
            turn(ws, "fraud-0001")
        assert cycles.get(ws.ledger, ws.name, "fraud-0001").state == "failed"
        assert (ws.registry.champion(), ws.registry.challenger()) == (None, None)


def _offered(ws: Any) -> CycleReport:
    """A cycle that waits for a model, and the model handed in."""
    accept(ws, "predictions", payments(300))
    report = turn(ws, start(ws, "manual"))
    assert report.waiting is not None
    model = their_model(Path(report.waiting.where), ws.root / "theirs.txt")
    cycles.submit(ws.ledger, ws.name, report.id, "model", str(model), "them")
    return report


def _turns(wheel: Wheel) -> list[Any]:
    return [task for task in wheel.due() if task.what == "turn"]


def _ingested(spec: Path, rows: list[dict[str, Any]]) -> None:
    path = spec.parent / f"{rows[0]['id']}.ndjson"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    _said("ingest", None, spec, str(path))


def _said(command: str, verb: str | None, spec: Path, *words: str) -> Result:
    said = CliRunner().invoke(app, [command, *([verb] if verb else []), *words, "--spec", str(spec)])
    assert said.exit_code == 0, (said.output, said.exception)
    return said
