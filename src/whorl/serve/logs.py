"""What the processes of a server log, to standard error."""

import logging

from whorl.errors import masked


def log_to_stderr() -> None:
    """Say what happens, with its time; what other libraries log is masked: they log the URLs that they call."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Each of its steps, when a ledger is made.
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _Masked(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))
