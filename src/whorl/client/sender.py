"""A window of records over HTTP: one request a kind, each with a key of its own, so that sending again never doubles.

What the server said becomes an Answer, or is raised as NotNow; what to do about it is decided in `courier.py`.
"""

import gzip
import json
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx

from whorl.client.frames import KINDS, Kind
from whorl.client.settings import Settings
from whorl.client.spool import Window
from whorl.errors import masked

# The batch as it is will never be taken. Everything else that is no success may change: a server that starts, a key that
# is put right, a flywheel that is made.
_NEVER = frozenset({400, 413, 415, 422})
_PATHS: dict[Kind, str] = {
    "predictions": "predictions",
    "labels": "labels",
    "feedback": "feedback",
    "native": "predictions?native=true",
}
_LONGEST_WAIT_S = 300.0


class Answer(NamedTuple):
    """How many of a request's records are on the server's disk, and what became of the others; `why` is of those refused."""

    accepted: int
    refused: int
    without_consent: int = 0
    why: str = ""


class NotNow(Exception):
    """The server did not take the window; it may take it later. `after_s` is what it asked to wait, if it did."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.why, self.after_s = why, after_s


class Sender:
    """Talks to one flywheel of one server. For one thread."""

    def __init__(self, how: Settings) -> None:
        address = urlsplit(how.url)
        self._place = f"{how.url.rstrip('/')}/v1/flywheels/{quote(how.flywheel, safe='')}"
        self._clock = how.clock
        self._compress = address.hostname not in ("localhost", "127.0.0.1", "::1")
        headers = {"Content-Type": "application/x-ndjson"}
        if how.key:
            headers["Authorization"] = f"Bearer {how.key}"
        if self._compress:
            headers["Content-Encoding"] = "gzip"
        # Reading the certificates takes longer than all else here; plain HTTP has no use for them.
        tls = address.scheme == "https"
        self._http = httpx.Client(timeout=how.timeout_s, headers=headers, transport=how.transport, verify=tls)

    def send(self, window: Window) -> list[Answer]:
        """Send a window. Raises NotNow, with the window as a whole unsettled: send it again under the same key."""
        by_kind: dict[Kind, list[bytes]] = {}
        for kind, body in window.records:
            by_kind.setdefault(kind, []).append(body)
        return [self._post(kind, by_kind[kind], window.key) for kind in KINDS if kind in by_kind]

    def close(self) -> None:
        self._http.close()

    def _post(self, kind: Kind, bodies: list[bytes], key: bytes) -> Answer:
        content = b"\n".join(bodies)
        if self._compress:
            content = gzip.compress(content, 1, mtime=0)
        headers = {"Idempotency-Key": f"{key.hex()}-{kind}"}
        try:
            answer = self._http.post(f"{self._place}/{_PATHS[kind]}", content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NotNow(f"{masked(self._place)}: {type(error).__name__}: {error}") from None
        told = json_object(answer.content)
        refused, said = _refusals(told), f"HTTP {answer.status_code} {_fault(told)}".rstrip()
        taken = answer.status_code == 202 and type(told.get("accepted")) is int
        if taken or (answer.status_code == 422 and refused):
            # Named are those that were refused. Of what there was no consent for nothing is left, not even its place.
            accepted = int(told["accepted"]) if taken else 0
            unnamed = len(bodies) - accepted - len(refused)
            return Answer(accepted, len(refused), unnamed, _first(refused))
        if answer.status_code in _NEVER or _where(told) == "Idempotency-Key":
            return Answer(0, len(bodies), why=said)
        raise NotNow(f"{masked(self._place)}: {said}", self._retry_after(answer.headers.get("Retry-After")))

    def _retry_after(self, value: str | None) -> float | None:
        """Seconds, or a date, as HTTP has both; None when it is neither."""
        if value is None:
            return None
        try:
            seconds = float(value) if value.strip().isdigit() else self._until(parsedate_to_datetime(value))
        except (TypeError, ValueError):
            return None
        return min(max(seconds, 0.0), _LONGEST_WAIT_S)

    def _until(self, when: datetime) -> float:
        return (when - self._clock.now()).total_seconds()


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object of an answer; empty when it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refusals(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that were refused, each with its reason."""
    refused = told.get("refused")
    return [one for one in refused if isinstance(one, dict)] if isinstance(refused, list) else []


def _first(refused: list[dict[str, Any]]) -> str:
    """What the server said of the first record it refused."""
    return f"{refused[0].get('message', '')} {refused[0].get('hint', '')}".strip() if refused else ""


def _fault(told: dict[str, Any]) -> str:
    fault = told.get("error")
    return f"{fault.get('code')}: {fault.get('message')}" if isinstance(fault, dict) else ""


def _where(told: dict[str, Any]) -> Any:
    fault = told.get("error")
    return fault.get("where") if isinstance(fault, dict) else None
