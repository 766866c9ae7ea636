"""HTTP to queryable in the lake for ten minutes: rate, memory, what waits, and how fresh a reader's rows are."""

import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.request import urlopen

from load import lines, run_load, server
from report import Figure, options, report

ROWS, CONNECTIONS = 5000, 4


def main() -> None:
    chosen = options(__doc__)
    seconds, offered = (30 if chosen.quick else 600), 88_000
    with TemporaryDirectory(prefix="whorl-soak-") as name, server(Path(name)) as one:
        body, requests = lines(ROWS), seconds * offered // ROWS
        acknowledged: list[tuple[float, int]] = []
        fresh: list[float] = []
        memory: list[float] = []
        waiting: list[float] = []
        over = threading.Event()

        def look() -> None:
            while not over.wait(1.0):
                memory.append(one.memory_mib())
                waiting.append(inbox_rows(one.url))
                rows, now = one.queryable(), monotonic()
                acknowledged.append((now, rows))

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        began = monotonic()
        told = run_load(one.port, body, connections=CONNECTIONS, requests=requests, rate=offered / ROWS)
        answered = monotonic()
        while one.queryable() < ROWS * requests:
            sleep(0.1)
        lag = monotonic() - answered
        over.set()
        looking.join()
        # A row acknowledged at t can be queried when the lake holds as many rows as were due by then.
        for number in range(0, requests, max(requests // 2000, 1)):
            due = began + (number + 1) * ROWS / offered
            seen = next((at for at, rows in acknowledged if rows >= (number + 1) * ROWS), answered + lag)
            fresh.append(max(seen - due, 0.0))
    assert set(told.statuses) == {202}, told.statuses
    fresh.sort()
    half = len(waiting) // 2
    figures = [
        Figure(
            "records/s, HTTP to queryable",
            ROWS * requests / (answered + lag - began),
            target=80_000,
            at_most=False,
        ),
        Figure("records/s acknowledged", ROWS * requests / told.seconds),
        Figure("p99 ms a request of 5,000", told.quantile_ms(0.99)),
        Figure("freshness p99, s (looked at once a second)", fresh[int(len(fresh) * 0.99)], target=15),
        Figure("server's memory, MiB, greatest", max(memory), target=1024),
        Figure(
            "inbox, records: greatest of the second half",
            max(waiting[half:], default=0),
            other=max(waiting[:half], default=0),
        ),
        Figure("seconds until the last row could be queried", lag),
    ]
    report(f"{seconds} s of {offered:,} records a second", figures, chosen.json)


def inbox_rows(url: str) -> float:
    with urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    lines = (line for line in text.splitlines() if line.startswith("whorl_inbox_records{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


if __name__ == "__main__":
    main()
