"""A server that is a function: `say` is what it answers, `records` what it kept."""

import gzip
import json
from collections.abc import Callable
from threading import Condition
from typing import Any

import httpx

from whorl.client.client import Client

WITHIN_S = 30.0
Connect = Callable[..., Client]
Say = Callable[[httpx.Request], httpx.Response]


def records_of(request: httpx.Request) -> list[dict[str, Any]]:
    body = request.content
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return [json.loads(line) for line in body.splitlines()]


def taken(request: httpx.Request) -> httpx.Response:
    count = len(records_of(request))
    return httpx.Response(202, json={"accepted": count, "refused": [], "notes": []})


def down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody listens", request=request)


class FakeServer:
    """Says what `say` says. What it takes, it takes once a key, as the server does."""

    def __init__(self) -> None:
        self.say: Say = taken
        self.requests: list[httpx.Request] = []
        self.kept: dict[str, list[dict[str, Any]]] = {}
        self._changed = Condition()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = self.say(request)
            if answer.status_code == 202:
                self.kept.setdefault(request.headers["Idempotency-Key"], records_of(request))
            return answer
        finally:
            with self._changed:
                self.requests.append(request)
                self._changed.notify_all()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was kept, in order."""
        return [record for batch in self.kept.values() for record in batch]

    @property
    def ids(self) -> list[str]:
        return [record.get("id") or record["prediction_id"] for record in self.records]

    def asked(self, times: int) -> None:
        """Wait until it was asked so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= times, WITHIN_S)
