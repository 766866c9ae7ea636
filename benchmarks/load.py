"""A server of our own and the load on it: pre-encoded bodies over raw sockets, so that the generator costs little.

Latencies are counted from when a request was due, not from when it could be sent: a server that stalls cannot hide it.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep

SPEC = """
name = "fraud"
task = "binary"

[schema]
id = "transaction_id"
time = "timestamp"
group = "user_id"
score = "prediction.fraud_probability"
label = "ground_truth.is_fraud"

[schema.features]
amount = "float"
merchant = "category"
avg_transaction_amount_last_7d = "float"
transactions_per_hour_last_24h = "int"
is_new_merchant = "bool"
"""
KEY = "WHORL_BENCHMARK_KEY"
SCRUBBED = f"""
[capture]
hash = ["device"]
hash_key_env = "{KEY}"
redact = ["note"]
"""
# Stands in a body for what makes its ids differ from those of other bodies.
MARK = b"@@@@@@@@@@"
NDJSON = "application/x-ndjson"


def record(number: int, *, free_text: bool = False) -> dict[str, object]:
    """One payment with its answer, as the issue of a company's own JSON; about 330 bytes."""
    when = datetime.now(UTC) - timedelta(seconds=number % 3600)
    found: dict[str, object] = {
        "transaction_id": f"txn_{MARK.decode()}{number:06d}",
        "amount": round(1 + number % 997 * 1.37, 2),
        "merchant": f"merchant-{number % 211}",
        "user_id": f"user_{number % 10_007}",
        "timestamp": when.isoformat().replace("+00:00", "Z"),
        "features": {
            "avg_transaction_amount_last_7d": round(20 + number % 83 * 0.91, 2),
            "transactions_per_hour_last_24h": number % 7,
            "is_new_merchant": number % 5 == 0,
        },
        "prediction": {"fraud_probability": round(number % 1000 / 1000, 3)},
    }
    if free_text:
        found["device"] = f"device-{number % 4001}"
        found["note"] = f"call me at +49 30 90182{number % 1000:03d} or mail user{number}@example.com, thanks"
    return found


def lines(rows: int, *, free_text: bool = False) -> bytes:
    """NDJSON of so many records, with MARK in each id."""
    return b"\n".join(json.dumps(record(n, free_text=free_text)).encode() for n in range(rows))


@contextmanager
def server(folder: Path, spec: str = SPEC) -> Iterator["Server"]:
    """`whorl serve` on loopback, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "flywheel.toml"
    path.write_text(spec)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("whorl")),
        "serve",
        "--spec",
        str(path),
        "--port",
        str(port),
    ]
    env = dict(os.environ)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=env, start_new_session=True
        )
    try:
        until = monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or monotonic() > until:
                    raise SystemExit((folder / "server.log").read_text()) from None
                sleep(0.05)
        yield Server(port, process.pid, folder)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@dataclass(frozen=True)
class Server:
    port: int
    pid: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def queryable(self, table: str = "predictions") -> int:
        """Rows that a reader of the lake finds now."""
        # Here: a benchmark that measures its own process must not load this.
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            delta = DeltaTable(str(self.folder / ".whorl" / "lake" / "fraud" / table))
        except TableNotFoundError:
            return 0
        return int(sum(delta.get_add_actions(flatten=True)["num_records"].to_pylist()))

    def memory_mib(self) -> float:
        """Resident memory of the server's processes."""
        found = 0
        for pid in (self.pid, *_children(self.pid)):
            status = Path(f"/proc/{pid}/status").read_text()
            found += int(status.partition("VmRSS:")[2].split()[0])
        return found / 1024


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@dataclass
class Told:
    """What a load saw: latency of each answered request (s), and what else was answered."""

    latency_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.latency_s)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def run_load(
    port: int, body: bytes, *, connections: int, requests: int, rate: float | None = None, first: int = 0
) -> Told:
    """Send a body so many times, each time with ids of its own.

    Args:
        rate: Requests a second that are due, whatever the server does; None: as fast as the answers come.
        first: Number of the first body: ids of loads with other numbers differ.
    """
    return asyncio.run(_load(port, body, connections, requests, rate, first))


async def _load(
    port: int, body: bytes, connections: int, requests: int, rate: float | None, first: int
) -> Told:
    told, numbers = Told(), iter(range(first, first + requests))
    began = perf_counter()
    await asyncio.gather(*(_one(port, body, numbers, first, rate, began, told) for _ in range(connections)))
    told.seconds = perf_counter() - began
    return told


async def _one(
    port: int, body: bytes, numbers: Iterator[int], first: int, rate: float | None, began: float, told: Told
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /v1/flywheels/fraud/predictions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: {NDJSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for number in numbers:
        due = began + (number - first) / rate if rate else perf_counter()
        if (early := due - perf_counter()) > 0:
            await asyncio.sleep(early)
        writer.write(head)
        writer.write(body.replace(MARK, b"%010d" % number))
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        size = next(
            int(line.split(b":")[1])
            for line in answer.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await reader.readexactly(size)
        told.latency_s.append(perf_counter() - due)
        told.statuses[status] = told.statuses.get(status, 0) + 1
    writer.close()


def wait_for_rows(server: Server, rows: int, within_s: float = 300) -> float:
    """Seconds until so many rows can be queried."""
    began = monotonic()
    while server.queryable() < rows:
        if monotonic() - began > within_s:
            raise SystemExit(f"{server.queryable()} of {rows} rows can be queried after {within_s:g} s.")
        sleep(0.05)
    return monotonic() - began
