"""The one verb that waits: ask the champion of a server. It is a call, not a log, so it answers or raises."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from whorl.client.encode import plain
from whorl.client.sender import json_object
from whorl.client.settings import Settings
from whorl.errors import RecordError, ServerError, WhorlError, error_of, masked


class Asker:
    """Asks one flywheel of one server; any thread may use it."""

    def __init__(self, how: Settings) -> None:
        self._place = f"{how.url.rstrip('/')}/v1/flywheels/{quote(how.flywheel, safe='')}/predict"
        headers = {"Authorization": f"Bearer {how.key}"} if how.key else {}
        tls = urlsplit(how.url).scheme == "https"
        self._http = httpx.Client(timeout=how.timeout_s, headers=headers, transport=how.transport, verify=tls)

    def predict(self, features: Mapping[str, Any], id: str | None, group: str | None) -> dict[str, Any]:
        """The answer, without the id. Raises what the server says, as its error; ServerError when it says nothing."""
        record: dict[str, Any] = {"features": features} | ({} if group is None else {"group": group})
        record |= {} if id is None else {"id": id}
        asked = {"native": "true", "log": "false" if id is None else "true"}
        try:
            body = plain(record)
        except Exception as error:
            raise RecordError(f"It cannot be written as JSON ({error}).") from error
        try:
            answer = self._http.post(self._place, json=body, params=asked)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ServerError(
                f"The server did not answer ({type(error).__name__}: {error}).",
                where=masked(self._place),
                hint="Check the address, and that `whorl serve` runs there.",
            ) from None
        told = json_object(answer.content)
        if answer.status_code != 200 or "model_version" not in told:
            raise self._error(answer.status_code, told.get("error"))
        told.pop("id", None)
        return told

    def close(self) -> None:
        self._http.close()

    def _error(self, status: int, fault: Any) -> WhorlError:
        """What the server said, as the error that it raised there."""
        said = {name: str(text) for name, text in fault.items()} if isinstance(fault, dict) else {}
        kind = error_of(said.get("code", "")) or ServerError
        message = said.get("message") or f"The server answered with HTTP {status}."
        where = said.get("where") or masked(self._place)
        return kind(message, where=where, hint=said.get("hint", ""), status=status)
