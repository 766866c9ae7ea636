"""`whorl.connect` and `whorl.track`: the client of a server, and the one that a process means when it names none."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Unpack

from whorl.client.client import Client
from whorl.client.settings import Limits, settings
from whorl.client.track import Id, tracked
from whorl.errors import WhorlError

log = logging.getLogger("whorl.client")

_latest: list[Client] = []
_refused: list[str] = []


def connect(
    url: str | None = None, key: str | None = None, flywheel: str | None = None, **limits: Unpack[Limits]
) -> Client:
    """A client of one flywheel of a server. It returns at once, whether the server is there or not.

    Args:
        url: Default is $WHORL_URL, else http://127.0.0.1:8377.
        key: An API key; default is $WHORL_API_KEY, else none.
        flywheel: Its name; default is $WHORL_FLYWHEEL.
        limits: See `whorl.client.settings.Settings`, and docs/client.md.

    Raises:
        StateError: The address or a setting cannot be meant.
        OSError: `durable`, and the spool cannot be made.
    """
    client = Client(settings(url, key, flywheel, **limits))
    _latest[:] = [client]
    return client


def track(function: Callable[..., Any] | None = None, *, id: Id = None) -> Any:
    """Log each call of a function as a prediction, by the client that was connected last, else one from the environment.

    For functions, coroutines, generators and async generators. Arguments become features, what is returned (or yielded)
    the output; latency and exceptions are logged too. The function itself answers and raises as it did.

    Args:
        id: The name of the argument that holds the prediction's id, or a function of the same arguments that gives it.
            Default: a new id.
    """
    return tracked(_log_call, lambda: datetime.now(UTC), function, id)


def _log_call(record: dict[str, Any]) -> None:
    if not _latest and not _refused:
        try:
            connect()
        except (WhorlError, OSError) as error:
            _refused.append(str(error))
            log.warning("Whorl: tracked calls are not logged: %s", error)
    if _latest:
        _latest[0].log_call(record)
