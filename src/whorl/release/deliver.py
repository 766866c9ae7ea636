"""Send what waits in the outbox over HTTP, signed; what fails is tried again later."""

import os

import httpx

from whorl.storage.ledger.ledger import Ledger
from whorl.storage.outbox import Delivered, Outbox, deliver

TIMEOUT_S = 10.0


def deliver_webhooks(ledger: Ledger, secret_env: str, *, flywheel: str | None = None) -> Delivered:
    """One round over what is due, of one flywheel or of all. The signing key is read from the environment, never stored."""
    with httpx.Client(timeout=TIMEOUT_S) as client:

        def post(url: str, body: bytes, headers: dict[str, str]) -> int:
            return client.post(url, content=body, headers=headers).status_code

        return deliver(Outbox(ledger), post, os.environ.get(secret_env), flywheel=flywheel)
