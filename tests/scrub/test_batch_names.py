"""What the ledger keeps of a batch that named itself: a retry is known by it, and what was dropped cannot be guessed from it."""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from litestar.testing import TestClient

from whorl.api.app import make_app
from whorl.serve.service import Service
from whorl.storage.ledger.tables import idempotency

SPEC = """
name = "desk"
task = "binary"
[schema.features]
amount = "float"
[capture]
drop = ["card"]
"""
URL = "/v1/flywheels/desk/predictions"
BODY = b'{"id": "a", "time": "2026-01-01T00:00:00Z", "amount": 1, "card": "4111"}'
SPAN = {
    "traceId": "0" * 31 + "1",
    "spanId": "0" * 15 + "1",
    "name": "chat",
    "startTimeUnixNano": "1767225600000000000",
    "endTimeUnixNano": "1767225601000000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "card", "value": {"stringValue": "4111"}},
    ],
}
Rows = list[tuple[str, str]]


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., Rows]:
    """Names and digests that a fresh server keeps of one body under each key, sent twice; answers must not differ."""

    def send(*keys: str, capture: str = "") -> Rows:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "flywheel.toml").write_text(SPEC + capture)
        with Service([folder / "flywheel.toml"], folder / "ws") as service:
            with TestClient(make_app(service), base_url="http://127.0.0.1") as client:
                for key in keys:
                    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
                    answers = [client.post(URL, content=BODY, headers=headers) for _ in range(2)]
                    assert [answer.json()["accepted"] for answer in answers] == [1, 1]
                    other = client.post(URL, content=BODY.replace(b"4111", b"4112"), headers=headers)
                    assert other.status_code == 409
            ws = service.wheel("desk").ws
            assert ws.inbox.depth("desk").rows == len(keys), "a retry is not kept again"
            with ws.ledger.read() as conn:
                return [
                    tuple(row) for row in conn.execute(sa.select(idempotency.c.key, idempotency.c.digest))
                ]

    return send


def test_a_digest_says_nothing_to_who_does_not_know_the_key(kept: Callable[..., Rows]) -> None:
    (first, one), (second, other) = kept("1f0c2f7e-secret", "95b1d0aa-secret")
    assert one != other, "the same content"
    assert first != second
    assert "secret" not in f"{first}{second}"
    plain = {blake2b(BODY, digest_size=size).hexdigest() for size in range(1, 65)}
    assert plain.isdisjoint({first, second, one, other})


def test_where_there_is_a_hash_key_a_key_that_can_be_guessed_is_no_help(
    kept: Callable[..., Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for secret in ("k" * 32, "l" * 32, "l" * 32):
        monkeypatch.setenv("WHORL_HASH_KEY", secret)
        rows.append(kept("1", capture='hash = ["mail"]\n'))
    assert rows[0] != rows[1] == rows[2]


def test_telemetry_is_called_by_what_is_kept_of_it(tmp_path: Path) -> None:
    (tmp_path / "flywheel.toml").write_text(SPEC)
    with Service([tmp_path / "flywheel.toml"], tmp_path / "ws") as service:
        ws = service.wheel("desk").ws
        with TestClient(make_app(service), base_url="http://127.0.0.1") as client:

            def export(**over: Any) -> None:
                span = {**SPAN, **over}
                body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
                assert client.post("/v1/traces", json=body).json() == {}

            export()
            depth = ws.inbox.depth("desk").rows
            export()
            assert ws.inbox.depth("desk").rows == depth, "a retry is not kept again"
            # Only what was dropped is different: there is nothing by which to tell.
            card = {"key": "card", "value": {"stringValue": "4112"}}
            export(attributes=[SPAN["attributes"][0], card])
            assert ws.inbox.depth("desk").rows == depth
            export(spanId="0" * 15 + "2")
            assert ws.inbox.depth("desk").rows == 2 * depth
