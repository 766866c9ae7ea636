"""Senders that never stop: each record has an id of its own and brings its truth; the books say what was acknowledged.

Some batches name themselves (`Idempotency-Key`). Those are sent again until they are acknowledged, whatever became of them
the first time.
"""

import json
import random
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

import httpx
from books import Books

SIZES = (1, 1, 1, 7, 60, 400)
NAMED_SHARE = 0.3


class Load:
    """Sends until it is told to stop; servers that are away are tried again.

    Args:
        urls: Of servers; each sender uses them in turn.
    """

    def __init__(self, books: Books, urls: Sequence[str], *, senders: int = 2, seed: int = 0) -> None:
        self._books, self._urls = books, urls
        self._over, self._enough = threading.Event(), threading.Condition()
        self.acknowledged = self.refused = 0
        self.retry_after: set[str | None] = set()
        self.trouble: list[str] = []
        self._threads = [
            threading.Thread(target=self._send_on, args=(f"{seed}-{n}", random.Random(f"{seed}/{n}")), daemon=True)
            for n in range(senders)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def wait_for_acknowledgements(self, more: int, within_s: float = 60.0) -> None:
        """Until so many more batches were acknowledged."""
        with self._enough:
            goal = self.acknowledged + more
            assert self._enough.wait_for(lambda: self.acknowledged >= goal, within_s), self.trouble

    def wait_for_refusal(self, within_s: float = 60.0) -> None:
        """Until another batch was answered 503."""
        with self._enough:
            goal = self.refused + 1
            assert self._enough.wait_for(lambda: self.refused >= goal, within_s), self.trouble

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert not self.trouble, self.trouble

    def _send_on(self, name: str, chance: random.Random) -> None:
        with httpx.Client(trust_env=False, timeout=30.0) as http:
            for number in count():
                if self._over.is_set():
                    return
                ids = [f"{name}-{number}-{place}" for place in range(chance.choice(SIZES))]
                url = f"{self._urls[number % len(self._urls)]}/v1/flywheels/fraud/predictions"
                self._books.send(ids)
                request = _body(ids, chance)
                if chance.random() < NAMED_SHARE:
                    request["headers"] = {**request.get("headers", {}), "Idempotency-Key": f"{name}-{number}"}
                    while not self._sent(http, url, request, ids) and not self._over.is_set():
                        pass
                else:
                    self._sent(http, url, request, ids)

    def _sent(self, http: httpx.Client, url: str, request: dict[str, Any], ids: list[str]) -> bool:
        """Send a batch; whether it was acknowledged. If not, nobody may know what became of it."""
        try:
            answer = http.post(url, **request)
        except httpx.TransportError:
            self._over.wait(0.01)
            return False
        with self._enough:
            if answer.status_code == 202 and answer.json()["accepted"] == len(ids):
                self._books.acknowledge(ids)
                self.acknowledged += 1
            elif answer.status_code == 503:
                self.refused += 1
                self.retry_after.add(answer.headers.get("Retry-After"))
            else:
                self.trouble.append(f"{answer.status_code}: {answer.text[:500]}")
            self._enough.notify_all()
        return answer.status_code == 202


def _body(ids: Sequence[str], chance: random.Random) -> dict[str, Any]:
    """The records as one, a batch, or lines."""
    records = [record_of(id, chance) for id in ids]
    if len(records) == 1:
        return {"json": records[0]}
    if chance.random() < 0.5:
        return {"json": {"records": records}}
    lines = "\n".join(json.dumps(record) for record in records)
    return {"content": lines, "headers": {"Content-Type": "application/x-ndjson"}}


def record_of(id: str, chance: random.Random) -> dict[str, Any]:
    """A prediction with its truth."""
    day = chance.randrange(1, 28)
    return {
        "id": id,
        "time": f"2026-01-{day:02d}T10:00:00Z",
        "score": 0.5,
        "amount": chance.random(),
        "shop": chance.choice(("books", "games")),
        "is_fraud": chance.random() < 0.1,
        "known_at": f"2026-02-{day:02d}T10:00:00Z",
    }
