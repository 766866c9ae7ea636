"""Capture: durable HTTP throughput beside the same work without HTTP, and our SDK beside those of MLflow and Phoenix.

Peers are installed into environments of their own and run in turns with us, on the same machine, with the same record.
Every server writes to a disk of this machine; ours says 202 only after its commit is synced.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

import whorl
from load import KEY, MARK, SCRUBBED, SPEC, Server, lines, record, run_load, server, wait_for_rows
from report import Figure, options, report
from whorl.capture.accept import accept
from whorl.spec import parse_spec
from whorl.workspace import open_workspace

BATCHES = {1: 2000, 100: 600, 1000: 200, 5000: 60}
PEERS = Path(__file__).parent / "peers"


def floor(folder: Path, spec: str, rows: int, batches: int) -> float:
    """Records a second when the same batches are decoded, checked and committed in a plain loop, without HTTP."""
    body = lines(rows, free_text=spec != SPEC)
    bodies = [body.replace(MARK, b"%010d" % number) for number in range(batches)]
    decode = msgspec.json.Decoder().decode
    with open_workspace(parse_spec(spec), folder, mirror=False) as ws:
        accept(ws, "predictions", [decode(line) for line in lines(1).splitlines()])
        began = perf_counter()
        for one in bodies:
            answer = accept(ws, "predictions", [decode(line) for line in one.splitlines()])
            assert answer.accepted == rows, answer
        return rows * batches / (perf_counter() - began)


def throughput(place: Path, spec: str, share: float) -> Iterator[Figure]:
    """Batches of each size over four connections, beside the floor in the same run."""
    name = "scrubbed" if spec != SPEC else "plain"
    for rows, requests in BATCHES.items():
        sent = max(int(requests * share), 8)
        plain_loop = floor(place / f"floor-{name}-{rows}", spec, rows, max(sent // 2, 4))
        with server(place / f"http-{name}-{rows}", spec) as one:
            body = lines(rows, free_text=spec != SPEC)
            run_load(one.port, body, connections=4, requests=4, first=10**9)
            told = run_load(one.port, body, connections=4, requests=sent)
        assert set(told.statuses) == {202}, told.statuses
        rate = rows * sent / told.seconds
        target = 0.6 if rows == 1000 else None
        yield Figure(f"{name}, batches of {rows}: records/s, floor beside", rate, other=plain_loop)
        yield Figure(
            f"{name}, batches of {rows}: share of the floor", rate / plain_loop, target=target, at_most=False
        )
        yield Figure(f"{name}, batches of {rows}: p50 ms a request", told.quantile_ms(0.5))
        yield Figure(f"{name}, batches of {rows}: p99 ms a request", told.quantile_ms(0.99))


def singles(place: Path, share: float) -> Iterator[Figure]:
    """One record a request, 32 connections, 1,000 requests a second that are due whatever the server does."""
    with server(place / "singles") as one:
        run_load(one.port, lines(1), connections=32, requests=500, rate=500, first=10**9)
        told = run_load(one.port, lines(1), connections=32, requests=int(20_000 * share), rate=1000)
    assert set(told.statuses) == {202}, told.statuses
    yield Figure("1,000 single records/s, fsync on: p50 ms", told.quantile_ms(0.5))
    yield Figure("1,000 single records/s, fsync on: p99 ms", told.quantile_ms(0.99), target=10)


def ours(one: Server, records: int, before: int) -> dict[str, Any]:
    """As our users log: by the SDK, until every record can be queried."""
    made = [record(before + number) for number in range(records)]
    for number, payment in enumerate(made):
        payment["transaction_id"] = f"sdk_{before + number}"
    client = whorl.connect(one.url, flywheel="fraud", max_records=records + 1, max_bytes=1 << 30)
    cost, began = [], perf_counter()
    for payment in made:
        at = perf_counter()
        client.log_prediction(payment)
        cost.append(perf_counter() - at)
    assert client.flush(120)
    wait_for_rows(one, before + records)
    seconds = perf_counter() - began
    client.close()
    return {"seconds": seconds, "records": records, "cost_s": cost}


def beside_peers(place: Path, turns: int, share: float) -> Iterator[Figure]:
    """The three SDKs in turns; medians of the turns."""
    told: dict[str, list[dict[str, Any]]] = {"ours": [], "mlflow": [], "phoenix": []}
    records, before = int(100_000 * share), 0
    with server(place / "ours") as one, mlflow(place) as user_of_mlflow, phoenix(place) as user_of_phoenix:
        for _ in range(turns):
            told["ours"].append(ours(one, records, before))
            before += records
            told["mlflow"].append(user_of_mlflow(int(400 * share)))
            told["phoenix"].append(user_of_phoenix(int(4_000 * share)))
    rates = {name: median(run["records"] / run["seconds"] for run in runs) for name, runs in told.items()}
    faster = max(rates["mlflow"], rates["phoenix"])
    yield Figure("MLflow's SDK until searchable: traces/s", rates["mlflow"])
    yield Figure("Phoenix's SDK until queryable: spans/s", rates["phoenix"])
    yield Figure("our SDK until queryable: records/s, faster peer beside", rates["ours"], other=faster)
    yield Figure("our SDK: times the faster peer", rates["ours"] / faster, target=200, at_most=False)
    for name, runs in told.items():
        cost = sorted(1e6 * one for run in runs for one in run["cost_s"])
        own = name == "ours"
        yield Figure(
            f"the call's cost, {name}: p50 microseconds", cost[len(cost) // 2], target=10 if own else None
        )
        yield Figure(
            f"the call's cost, {name}: p99 microseconds",
            cost[int(len(cost) * 0.99)],
            target=100 if own else None,
        )


@contextmanager
def mlflow(place: Path) -> Iterator[Callable[[int], dict[str, Any]]]:
    """MLflow's tracking server on SQLite, one worker, and its user."""
    home = environment(place / "env-mlflow", "mlflow>=3.17,<4")
    port = 58231
    command = ["server", "--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--port", str(port), "--workers", "1",
               "--artifacts-destination", str(place / "mlflow-artifacts")]  # fmt: skip
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with running([str(home / "mlflow"), *command], place, f"http://127.0.0.1:{port}/health", env):
        yield lambda traces: used(home, "mlflow_user.py", f"http://127.0.0.1:{port}", traces)


@contextmanager
def phoenix(place: Path) -> Iterator[Callable[[int], dict[str, Any]]]:
    """Phoenix's server on SQLite, and its user."""
    home = environment(place / "env-phoenix", "arize-phoenix>=20", "arize-phoenix-otel")
    port = 58232
    env = {"PHOENIX_WORKING_DIR": str(place / "phoenix"), "PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": "58233",
           "PHOENIX_TELEMETRY_ENABLED": "false"}  # fmt: skip
    with running([str(home / "phoenix"), "serve"], place, f"http://127.0.0.1:{port}/healthz", env):
        yield lambda spans: used(home, "phoenix_user.py", f"http://127.0.0.1:{port}", spans)


def environment(folder: Path, *requirements: str) -> Path:
    """The programs of an environment that has these, and nothing of ours."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *requirements], check=True)
    return folder / "bin"


@contextmanager
def running(command: list[str], folder: Path, health: str, env: dict[str, str]) -> Iterator[None]:
    """A peer's server until the block ends."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **env})
        try:
            until = monotonic() + 120
            while True:
                try:
                    urlopen(health).close()
                    break
                except (URLError, ConnectionError):
                    if process.poll() is not None or monotonic() > until:
                        raise SystemExit(Path(log.name).read_text()) from None
                    sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(30)


def used(home: Path, script: str, url: str, records: int) -> dict[str, Any]:
    done = subprocess.run(
        [str(home / "python"), str(PEERS / script), url, str(records)], check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    chosen = options(__doc__)
    os.environ[KEY] = "0" * 64
    share = 0.1 if chosen.quick else 1.0
    with TemporaryDirectory(prefix="whorl-capture-") as name:
        place = Path(name)
        figures = [
            *throughput(place, SPEC, share),
            *throughput(place, SPEC + SCRUBBED, share),
            *singles(place, share),
        ]
        for done in place.glob("http-*"):
            shutil.rmtree(done)
        figures += beside_peers(place, 1 if chosen.quick else 3, share)
    report("Capture is durable, and hundreds of times faster than what is used today", figures, chosen.json)


if __name__ == "__main__":
    main()
