"""Traces straight from an MLflow tracking store: a database by URL, or a server.

Read oldest first, page by page, through MLflow's own client. Nothing is written there.
"""

import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SADeprecationWarning

from whorl.capture.importers.chunks import Chunk, Progress
from whorl.capture.importers.exports import take
from whorl.capture.importers.report import IngestReport
from whorl.errors import SourceError, did_you_mean, masked
from whorl.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 200


def ingest_mlflow(
    ws: Workspace,
    uri: str,
    experiments: Sequence[str] = (),
    since: datetime | None = None,
    truth: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Take in the traces of a tracking store, with their assessments; a later run adds what came since.

    Args:
        uri: Tracking URI, such as `sqlite:///mlflow.db` or `http://host:5000`.
        experiments: Names; none: all of them.
        since: Only traces that began then or later. What is said of older ones meanwhile is then not seen.
        truth: As in `ingest_export`.

    Raises:
        SourceError: The store cannot be read, or has no such experiment. Pages before the fault stay.
    """
    shown = masked(uri)
    client = _open(uri, shown)
    chunks = _chunks(client, shown, _ids(client, shown, experiments), since)
    return take(ws, chunks, shown, "mlflow", "mlflow", truth, progress)


def _open(uri: str, shown: str) -> "MlflowClient":
    """A client; MLflow would make a SQLite store that is not there, so that is looked for first."""
    try:
        url = make_url(uri)
    except ArgumentError:
        raise SourceError(
            "This is no tracking URI.", where=shown, hint="Such as sqlite:///mlflow.db or http://host:5000."
        ) from None
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise SourceError("There is no such database.", where=shown)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read once, when mlflow is imported
    # A server that does not answer should not hold the command for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    warnings.filterwarnings(
        "ignore", message="The ``noload`` loader strategy is deprecated", category=SADeprecationWarning
    )
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    client: Any = _asked(shown, lambda: MlflowClient(tracking_uri=uri, registry_uri=uri))
    return client  # type: ignore[no-any-return]


def _ids(client: "MlflowClient", shown: str, experiments: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    token: str | None = None
    while True:
        page: Any = _asked(shown, lambda token=token: client.search_experiments(page_token=token))
        found |= {one.name: one.experiment_id for one in page}
        token = page.token
        if not token:
            break
    for name in experiments:
        if name not in found:
            raise SourceError(
                f"There is no experiment '{name}'.", where=shown, hint=did_you_mean(name, list(found))
            )
    return [found[name] for name in experiments or found]


def _chunks(client: "MlflowClient", shown: str, ids: list[str], since: datetime | None) -> Iterator[Chunk]:
    """Pages of traces; how much is done is told by their times, from the first trace's to now."""
    if not ids:
        return
    only = f"timestamp_ms >= {int(since.timestamp() * 1000)}" if since else None
    token: str | None = None
    first: int | None = None
    end, done = time.time() * 1000, 0
    while True:
        page: Any = _asked(
            shown,
            lambda token=token: client.search_traces(
                locations=ids,
                filter_string=only,
                order_by=["timestamp_ms ASC"],
                max_results=PAGE,
                page_token=token,
            ),
        )
        if page:
            first = page[0].info.request_time if first is None else first
            share = (page[-1].info.request_time - first) / max(end - first, 1)
            rows = [trace.to_dict() for trace in page]
            yield Chunk(
                share=min(share, 1.0) if page.token else 1.0,
                records=rows,
                numbers=range(done + 1, done + 1 + len(rows)),
            )
            done += len(rows)
        token = page.token
        if not token:
            return


def _asked(shown: str, ask: Any) -> Any:
    try:
        return ask()
    except Exception as error:
        raise SourceError(
            masked(f"MLflow cannot read it: {error}."),
            where=shown,
            hint="Does it answer, and has it the version of this MLflow? What was taken in stays.",
        ) from error
