"""Send what waits in the outbox over HTTP, signed; what fails is tried again later. Nothing goes out unsigned."""

import os

from whorl.storage.ledger.ledger import Ledger
from whorl.storage.outbox import Delivered, Outbox, deliver

TIMEOUT_S = 10.0


def deliver_webhooks(ledger: Ledger, secret_env: str, flywheel: str) -> Delivered:
    """One round over what is due of a flywheel. The signing key is read from the environment, never stored.

    Without a key everything stays queued, and says why.
    """
    outbox, secret = Outbox(ledger), os.environ.get(secret_env)
    if not outbox.due(outbox.clock.now(), limit=1, flywheel=flywheel):
        return Delivered(0, 0)
    if not secret:
        why = f"the environment variable {secret_env} is not set, and nothing is sent unsigned"
        return Delivered(0, outbox.withhold(flywheel, why))
    import httpx

    with httpx.Client(timeout=TIMEOUT_S) as client:

        def post(url: str, body: bytes, headers: dict[str, str]) -> int:
            return client.post(url, content=body, headers=headers).status_code

        return deliver(outbox, post, secret, flywheel=flywheel)
