"""`python -m whorl.serve.flusher_process`: the other end of `flusher.py`. Started by a server, never by hand."""

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import msgspec

from whorl.capture.flush import Moved
from whorl.errors import WhorlError
from whorl.serve.flusher import How
from whorl.serve.flushing import FLUSHING, opened
from whorl.serve.garbage import looked_for_less_often
from whorl.serve.logs import log_to_stderr
from whorl.serve.runner import Runner

_NICE = 5
STOP_WITHIN_S = 10.0


def main() -> None:
    """Flush until the input closes, which it does when the server ends, however that does."""
    # Who stops the server by a signal to all of its processes still gets the last batches moved.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    log_to_stderr()
    # Where processors are short, whoever waits for an answer goes first.
    os.nice(_NICE)
    how = msgspec.json.decode(sys.stdin.buffer.readline(), type=How)
    # What libraries print must not come between the lines that the server reads.
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lock = threading.Lock()

    def tell(moved: Moved) -> None:
        with lock:
            try:
                told.write(msgspec.json.encode(moved._replace(waited=_together(moved.waited))) + b"\n")
                told.flush()
            except BrokenPipeError:
                # The server is gone; its end of the input tells the rest.
                pass

    over = threading.Event()
    with opened([Path(spec) for spec in how.specs], Path(how.root), how.ledger_url, tell) as wheels:
        runner = Runner(wheels, lambda: True, over.set, FLUSHING)
        runner.start()
        threading.Thread(target=_until_closed, args=(over,), daemon=True).start()
        with looked_for_less_often():
            over.wait()
        runner.stop(STOP_WITHIN_S)


def _together(waited: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """To the hundredth of a second: a line for each of thousands of payloads would be long."""
    records = Counter[float]()
    for count, seconds in waited:
        records[round(seconds, 2)] += count
    return [(count, seconds) for seconds, count in records.items()]


def _until_closed(over: threading.Event) -> None:
    sys.stdin.buffer.read()
    over.set()


if __name__ == "__main__":
    try:
        main()
    except WhorlError as error:
        sys.exit(f"whorl: the flusher cannot start: {error}")
