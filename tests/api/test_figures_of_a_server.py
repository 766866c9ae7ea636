"""What `/metrics` says of a real server that was sent records of every sort: the figures are those of the lake."""

from collections.abc import Iterator
from threading import Event
from time import monotonic
from typing import Any

import pytest
from server_process import ServerProcess

from whorl.spec import load_spec
from whorl.workspace import open_workspace

PREDICTIONS, LABELS = "/v1/flywheels/fraud/predictions", "/v1/flywheels/fraud/labels"
OF = '{flywheel="fraud",kind="predictions"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One of our own: what others send it is not counted here."""
    running = ServerProcess(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


def payment(number: int, **over: Any) -> dict[str, Any]:
    return {
        "transaction_id": f"t{number}",
        "timestamp": "2026-01-01T00:00:00Z",
        "user_id": "u",
        "amount": 1.0,
    } | over


def figures(server: ServerProcess) -> dict[str, float]:
    lines = server.http.get("/metrics").raise_for_status().text.splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {series: float(value) for series, _, value in samples}


def when_all_is_moved(server: ServerProcess) -> dict[str, float]:
    until = monotonic() + 30
    while (found := figures(server))['whorl_inbox_records{flywheel="fraud"}']:
        assert monotonic() < until, found
        Event().wait(0.1)
    return found


def test_what_was_sent_is_what_is_told(server: ServerProcess) -> None:
    post = server.http.post
    began = monotonic()
    rows = [payment(n) for n in range(10)]
    assert post(PREDICTIONS, json={"records": [*rows, payment(11, amount="a lot")]}).json()["accepted"] == 10
    for _ in range(2):
        # The same batch again is answered from what is known of the first.
        assert post(PREDICTIONS, json=payment(20), headers={"Idempotency-Key": "k"}).json()["accepted"] == 1
    # The same record twice in a batch is one row.
    assert post(PREDICTIONS, json={"records": [payment(30), payment(30)]}).json()["accepted"] == 2
    label = {"prediction_id": "t1", "value": True, "time": "2026-01-02T00:00:00Z"}
    assert post(LABELS, json=label).json()["accepted"] == 1
    assert post("/v1/flywheels/fraud/cycles").status_code == 202, "it moves what waits, as any flush"
    found = when_all_is_moved(server)
    lasted = monotonic() - began
    assert found[f"whorl_records_accepted_total{OF}"] == 13
    assert found['whorl_records_refused_total{flywheel="fraud",kind="predictions",code="feature"}'] == 1
    assert found[f"whorl_records_duplicate_total{OF}"] == 2, "one by its batch's key, one beside its like"
    assert found[f"whorl_rows_flushed_total{OF}"] == 12
    assert found['whorl_rows_flushed_total{flywheel="fraud",kind="labels"}'] == 1
    assert found[f"whorl_freshness_seconds_count{OF}"] == 13
    assert 0 < found[f"whorl_freshness_seconds_sum{OF}"] < 13 * lasted
    assert found[f'whorl_freshness_seconds_bucket{OF[:-1]},le="3600"}}'] == 13
    assert found[f"whorl_flush_seconds_count{OF}"] >= 1
    assert 0 < found[f"whorl_flush_seconds_sum{OF}"] < lasted
    assert found['whorl_inbox_bytes{flywheel="fraud"}'] == 0
    assert found['whorl_inbox_oldest_seconds{flywheel="fraud"}'] == 0
    with open_workspace(load_spec(server.spec), server.root) as beside:
        counted = f"SELECT count(*) AS n FROM {beside.lake.relation('predictions')}"
        assert beside.engine.query(counted)["n"].to_pylist() == [12]
