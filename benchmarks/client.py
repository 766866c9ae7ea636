"""What logging costs who logs: a call, beside a server that takes it all; importing the client; installing it alone."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, perf_counter_ns, sleep

import whorl
from load import server
from report import Figure, options, report

SOURCE = Path(__file__).resolve().parents[1] / "src"
RECORD = {
    "timestamp": "2023-10-27T10:30:00Z",
    "user_id": "user_9876",
    "amount": 150.75,
    "merchant": "OnlineGadgets Inc.",
    "features": {"is_new_merchant": False, "payment_method": "credit_card_visa", "velocity_1h": 1},
    "prediction": {"model_version": "fraud_xgb_v2.1", "fraud_probability": 0.62, "decision_threshold": 0.5},
}
CLIENT_ONLY = ("httpx", "msgspec")
Wait = Callable[[float], None]


def at_once(_: float) -> None:
    """Back to back."""


def busy(due: float) -> None:
    """As in a service that works between its calls."""
    while perf_counter() < due:
        pass


def asleep(due: float) -> None:
    """As in a service that has nothing to do between its calls: its code has left the processor's caches."""
    if (early := due - perf_counter()) > 0:
        sleep(early)


# How calls follow each other: the name, the wait before one, how many.
PACES = (
    ("back to back", at_once, 100_000),
    ("1,000/s, busy between", busy, 3_000),
    ("1,000/s, asleep between", asleep, 3_000),
)


def costs(log: Callable[[dict[str, object]], object], calls: int, wait: Wait) -> tuple[float, float]:
    """p50 and p99 of a call in µs."""
    taken, began = [], perf_counter()
    for number in range(calls):
        record = {**RECORD, "transaction_id": f"txn_{number}"}
        wait(began + number / 1000)
        start = perf_counter_ns()
        log(record)
        taken.append(perf_counter_ns() - start)
    cuts = quantiles(taken, n=100)
    return median(taken) / 1000, cuts[98] / 1000


def call_figures(folder: Path, quick: bool) -> list[Figure]:
    """Beside `json.dumps` of the same record at the same pace: what logging costs that does nothing."""
    figures = []
    with server(folder / "server") as running:
        for durable in (False, True):
            name = "durable" if durable else "log_prediction"
            spool = folder / "spool"
            with whorl.connect(running.url, flywheel="fraud", durable=durable, spool=spool) as client:
                for pace, wait, calls in PACES:
                    some = calls // 4 if quick else calls
                    p50, p99 = costs(client.log_prediction, some, wait)
                    other50, other99 = costs(json.dumps, some, wait)
                    # Claimed is what the call does by itself: not what the disk, or waking up, adds to it.
                    claimed = not durable and wait is not asleep
                    figures.append(Figure(f"{name}: {pace}, p50 µs", p50, other50, 10 if claimed else None))
                    figures.append(Figure(f"{name}: {pace}, p99 µs", p99, other99, 100 if claimed else None))
                client.flush(60)
                stats = client.stats()
            if stats.sent != stats.logged:
                sys.exit(f"Not all that was logged is at the server: {stats}")
    return figures


def alone_figures(folder: Path, quick: bool) -> list[Figure]:
    """The client with nothing installed but what it needs."""
    wanted = [f"{name}=={version(name)}" for name in CLIENT_ONLY]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    subprocess.run([*command, str(folder), *wanted], check=True)
    # -S: what is installed beside this benchmark is not seen.
    python = [sys.executable, "-S", "-c"]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{SOURCE}"}
    told = "import json, sys; print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'whorl']))"
    loading = "import whorl; whorl.connect"
    out = subprocess.run(
        [*python, f"{loading}; {told}"], env=environment, check=True, capture_output=True
    ).stdout
    ours = sum(Path(name).stat().st_size for name in json.loads(out))
    needed = sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
    )
    times: dict[str, list[float]] = {"pass": [], "import httpx, msgspec": [], loading: []}
    for _ in range(5 if quick else 21):
        for code, taken in times.items():
            start = perf_counter()
            subprocess.run([*python, code], env=environment, check=True)
            taken.append(1000 * (perf_counter() - start))
    # The first of each warms the disk's cache.
    bare, needs, whole = (median(taken[1:]) for taken in times.values())
    return [
        Figure(
            "whorl.connect imported, ms beyond Python's own", whole - bare, other=needs - bare, target=200
        ),
        Figure("httpx, msgspec and what they need, MiB", needed / 2**20),
        Figure("files of Whorl that are loaded, KiB", ours / 1024),
    ]


def main() -> None:
    chosen = options(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "alone").mkdir()
        figures = alone_figures(Path(folder) / "alone", chosen.quick)
        figures += call_figures(Path(folder), chosen.quick)
    report("Logging costs microseconds", figures, chosen.json)


if __name__ == "__main__":
    main()
