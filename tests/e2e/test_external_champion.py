"""A champion that a company trained and serves by plain MLflow; Whorl stands beside it, never in the request path.

Its answers are logged by HTTP, a challenger is trained by a command and promoted by a cycle, the server picks it up from
the registry, and a rollback brings the company's own model back.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from payments import LABEL, PREDICTION, only, payments, spec_text
from whorl_process import Server, done, free_port, until

from whorl.capture.accept import accept
from whorl.clock import SimulatedClock
from whorl.cycle import start, turn
from whorl.errors import ModelError, StateError
from whorl.models.digest import MLFLOW_MARK
from whorl.models.model import load_model
from whorl.release.release import rollback
from whorl.serve.champion import Champion
from whorl.spec import load_spec, parse_spec
from whorl.workspace import open_workspace

FEATURES = ("amount", "age", "shop")
# No library of ours in it: the company's scorecard, as any MLflow server runs it.
THEIR_MODEL = """
import numpy as np
import pandas as pd

class Scorecard:
    def predict(self, frame, params=None):
        return pd.DataFrame({"probability": 1 / (1 + np.exp(-frame["age"].astype(float)))})

def _load_pyfunc(path):
    return Scorecard()
"""
THEIR_MLMODEL = """
flavors:
  python_function:
    loader_module: their_scorecard
    code: code
    python_version: 3.11.0
"""
THEIR_TRAINING = """
import sys
import lightgbm
import pyarrow.parquet as pq

dataset, model = sys.argv[1:]
rows = pq.read_table(dataset).to_pandas()
frame = rows[["amount", "age", "shop"]].astype({"shop": "category"})
data = lightgbm.Dataset(frame, rows["label"].astype(int), weight=rows["weight"])
given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0, "deterministic": True}
lightgbm.train(given, data, 30).save_model(f"{model}/model.txt")
"""
ASKED = payments(5, seed=99)


class PlainMlflow:
    """`mlflow models serve` on the alias, as its documentation says."""

    def __init__(self, store: str, log: Path) -> None:
        self._log, self._port = log, free_port()
        bin = str(Path(sys.executable).parent)
        environment = {
            **os.environ,
            "MLFLOW_TRACKING_URI": store,
            "MLFLOW_REGISTRY_URI": store,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        }
        words = [
            "models",
            "serve",
            "-m",
            "models:/fraud@champion",
            "--env-manager",
            "local",
            "-p",
            str(self._port),
        ]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [f"{bin}/mlflow", *words], stdout=file, stderr=subprocess.STDOUT, env=environment
            )  # fmt: skip
        try:
            until(self._up, log.read_text)
        except BaseException:
            self.__exit__()
            raise

    def answers(self) -> list[float]:
        """Its answer to each of the payments that we ask about."""
        rows = [{name: row[name] for name in FEATURES} for row in ASKED]
        url = f"http://127.0.0.1:{self._port}/invocations"
        got = httpx.post(url, json={"dataframe_records": rows}, timeout=30, trust_env=False)
        assert got.is_success, got.text
        return [answer["probability"] for answer in got.json()["predictions"]]

    def __enter__(self) -> "PlainMlflow":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _up(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/ping", trust_env=False).is_success
        except httpx.TransportError:
            return False


class Polling(HTTPServer):
    """A server of the company's own that looks at the alias before it answers: it follows without a restart."""

    def __init__(self, client: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self._client, self._loaded = client, ("", None)
        Thread(target=self.serve_forever, daemon=True).start()

    def answer(self) -> list[float]:
        import pandas as pd
        from mlflow.pyfunc import load_model

        version = self._client.get_model_version_by_alias("fraud", "champion")
        if self._loaded[0] != version.version:
            self._loaded = (version.version, load_model(version.source, suppress_warnings=True))
        model: Any = self._loaded[1]
        return [float(p) for p in model.predict(pd.DataFrame(ASKED)[list(FEATURES)])["probability"]]


class _Answer(BaseHTTPRequestHandler):
    server: Polling

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(repr(self.server.answer()).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its model, its training script, its flywheel.toml."""
    folder = tmp_path_factory.mktemp("company")
    (folder / "scorecard" / "code").mkdir(parents=True)
    (folder / "scorecard" / "MLmodel").write_text(THEIR_MLMODEL)
    (folder / "scorecard" / "code" / "their_scorecard.py").write_text(THEIR_MODEL)
    (folder / "train.py").write_text(THEIR_TRAINING)
    command = f'trainer = "command"\ncommand = ["{sys.executable}", "train.py", "{{dataset}}", "{{model}}"]'
    champion = '[champion]\nversion = "scorecard-7"\ntrained_through = "2025-01-10"'
    (folder / "flywheel.toml").write_text(
        spec_text(champion, automation="approval", gates='[{ check = "better" }]', train=command)
    )
    return folder


@pytest.fixture(scope="module")
def mlflow_client(company: Path) -> Any:
    """The company's registry, with its model under the alias that its server reads."""
    import warnings

    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401 - the polling server loads by it
        from mlflow import MlflowClient

        uri = store(company)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.create_registered_model("fraud")
        client.create_model_version("fraud", source=(company / "scorecard").as_uri())
        client.set_registered_model_alias("fraud", "champion", "1")
    return client


@pytest.fixture
def polling(mlflow_client: Any) -> Iterator[str]:
    with Polling(mlflow_client) as server:
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def store(company: Path) -> str:
    return f"sqlite:///{company / 'their-mlflow.db'}"


def alias(company: Path) -> str:
    """What MLflow's own table says, asked past every client."""
    with sqlite3.connect(company / "their-mlflow.db") as db:
        query = "SELECT version FROM registered_model_aliases WHERE name = 'fraud' AND alias = 'champion'"
        return str(db.execute(query).fetchone()[0])


def promoted_by_a_cycle(company: Path) -> None:
    """What their service answered, and a while later the truth, told from outside; a challenger; somebody's yes."""
    spec, rows = company / "flywheel.toml", payments(700)
    whorl = Server(spec)
    try:
        for path, fields in (("predictions", PREDICTION), ("labels", LABEL)):
            body = {"records": only(rows, fields)}
            assert whorl.http.post(f"/v1/flywheels/fraud/{path}", json=body).json()["accepted"] == 700
        whorl.http.post("/v1/flywheels/fraud/cycles")
        whorl.awaited("waiting", "approval")
        verdict = whorl.http.get("/v1/flywheels/fraud/cycles/fraud-0001").json()["steps"][-1]["result"]
        assert (verdict["decision"], verdict["champion"]) == ("promote", "scorecard-7")
        assert any("the champion was trained on it" in note for note in verdict["notes"])
        assert alias(company) == "1", "nothing moves before somebody says yes"
        done("cycle", "approve", "--by", "ann", "--spec", spec)
        whorl.awaited("finished")
        until(lambda: alias(company) != "1", whorl.log.read_text)
    finally:
        whorl.close()


def champions_answers(company: Path) -> list[float]:
    """Our own, also after MLflow has served the champion from where it lies, and left a mark there."""
    with open_workspace(load_spec(company / "flywheel.toml"), company / ".whorl", mirror=False) as ws:
        champion = ws.registry.champion()
        assert champion is not None
        assert champion.trainer == "command"
        assert (ws.registry.path(champion) / MLFLOW_MARK).exists()
        model = load_model(ws.registry.path(champion), champion.digest, ws.spec)
    rows = pa.table({name: [row[name] for row in ASKED] for name in FEATURES})
    answers: list[float] = model.predict(rows).tolist()
    return answers


def test_beside_a_companys_own_serving(company: Path, polling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store(company))
    spec, mlflow_log = company / "flywheel.toml", company / "mlflow.log"
    theirs = [1 / (1 + np.exp(-row["age"])) for row in ASKED]
    with PlainMlflow(store(company), mlflow_log) as plain:
        assert plain.answers() == pytest.approx(theirs)
        promoted_by_a_cycle(company)
        assert plain.answers() == pytest.approx(theirs), "plain MLflow reads the alias when it starts"
    with PlainMlflow(store(company), mlflow_log) as plain:
        ours = champions_answers(company)
        assert plain.answers() == pytest.approx(ours)
    assert ours != pytest.approx(theirs)
    assert polled(polling) == pytest.approx(ours), "and who polls the alias needs no restart"

    said = done("model", "rollback", "--reason", "complaints", "--spec", spec)
    assert "instead of fraud/1" in said
    assert alias(company) == "1"
    assert polled(polling) == pytest.approx(theirs)


def test_rolled_back_to_a_model_that_is_not_here_the_wheel_goes_on(
    company: Path, clock: SimulatedClock
) -> None:
    """What the company's model answered is all that is known of it: later challengers are compared with that again."""
    spec = spec_text(
        '[champion]\nversion = "scorecard-7"', '[release]\nvia = "serve"', gates='[{ check = "better" }]'
    )
    with open_workspace(
        parse_spec(spec), company / "second", clock=clock, mirror=False, holdout_key="k" * 64
    ) as ws:
        accept(ws, "predictions", payments(500))
        first = turn(ws, start(ws, "manual"))
        assert (first.state, first.release.previous) == ("finished", "fraud/2")  # type: ignore[union-attr]
        serving = Champion(ws)
        assert serving.serving().version.id == "fraud/1"
        assert rollback(ws, by="ann", reason="complaints").version == "fraud/2"
        with pytest.raises(ModelError, match=r"lives elsewhere \(scorecard-7\)"):
            serving.refresh()
        with pytest.raises(ModelError, match="lives elsewhere"):
            serving.serving()
        with pytest.raises(StateError, match="no earlier champion"):
            rollback(ws, by="ann", reason="complaints again")
        clock.advance(timedelta(days=7))
        accept(ws, "predictions", payments(500, seed=1, first=500))
        second = turn(ws, start(ws, "manual"))
        assert second.verdict is not None
        assert "The champion is judged by its logged scores." in second.verdict.notes
        assert (second.state, second.release.previous) == ("finished", "fraud/2")  # type: ignore[union-attr]
        clock.advance(timedelta(days=7))
        accept(ws, "predictions", payments(200, seed=2, first=1000))
        assert turn(ws, start(ws, "manual")).state in ("finished", "held", "rejected")


def polled(url: str) -> list[float]:
    text = httpx.get(url, timeout=30, trust_env=False).text
    return [float(part) for part in text.strip("[]").split(",")]
