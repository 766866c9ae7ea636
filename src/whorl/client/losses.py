"""What became of what was logged, counted; and one warning now and then that says what was lost and why."""

import logging
from collections import Counter
from time import monotonic
from typing import Literal

from whorl.records import Record

log = logging.getLogger("whorl.client")

WARN_EVERY_S = 60.0
Reason = Literal[
    "queue_full",
    "spool_full",
    "disk",
    "unencodable",
    "too_large",
    "closed",
    "unsent",
    "before_send",
    "withheld",
]
# What is withheld is meant to be: it is counted, and not told.
_MEANS: dict[Reason, str] = {
    "queue_full": "more was logged than memory may hold (max_records, max_bytes)",
    "spool_full": "the spool on disk is full (max_spool_bytes)",
    "disk": "the spool could not be written",
    "unencodable": "not a JSON object",
    "too_large": "larger than 16 MB",
    "closed": "logged after close()",
    "unsent": "not sent before close(), and there is no spool",
    "before_send": "before_send failed",
}


class Stats(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Counts since `connect` or `open`. logged = sent + refused + without_consent + dropped + waiting.

    Attributes:
        sent: On the server's disk.
        refused: The server said no for good.
        without_consent: The server kept nothing of them, because [capture] consent was not given.
        dropped: Lost here, by reason.
        waiting: In memory or in the spool.
        spooled: Written to the spool, sent since or not.
        taken_over: Records of dead processes that were dealt with; not in `logged`.
    """

    logged: int
    sent: int
    refused: int
    without_consent: int
    dropped: dict[str, int]
    waiting: int
    spooled: int
    taken_over: int


class Losses:
    """Counts drops and refusals, and tells of them: the first at once, then once a minute. Never in the caller's thread."""

    def __init__(self) -> None:
        self.dropped: Counter[Reason] = Counter()
        self.refused = self.without_consent = 0
        self._why = self._trouble = ""
        self._notes: list[str] = []
        self._told: Counter[Reason] = Counter()
        self._told_refused = self._told_without = 0
        self._last: float | None = None

    def refuse(self, count: int, why: str) -> None:
        """The server took all but `count`, or none."""
        if count:
            self.refused += count
            self._why = why

    def trouble(self, why: str) -> None:
        """Why nothing can be sent just now; empty once it can."""
        self._trouble = why

    def note(self, what: str) -> None:
        """Something to be told once."""
        self._notes = [*self._notes[-4:], what]

    def tell(self, *, last: bool = False) -> None:
        """Warn, if there is something new and the last warning is long enough ago."""
        now = monotonic()
        if not last and self._last is not None and now - self._last < WARN_EVERY_S:
            return
        dropped, refused, without = self.dropped.copy(), self.refused, self.without_consent
        fresh = dropped - self._told
        news = [f"{fresh[reason]} dropped, {means}" for reason, means in _MEANS.items() if fresh[reason]]
        if refused > self._told_refused:
            news.append(f"{refused - self._told_refused} refused by the server: {self._why}")
        if without > self._told_without:
            news.append(f"{without - self._told_without} not kept by the server: there was no consent")
        news += self._notes
        if self._trouble:
            news.append(f"not sent yet: {self._trouble}")
        if news:
            log.warning("Whorl: %s", "; ".join(news))
            self._last, self._told, self._told_refused, self._told_without = now, dropped, refused, without
            self._notes, self._trouble = [], ""
