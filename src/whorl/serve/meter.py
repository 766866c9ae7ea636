"""What this process has counted since it started: records, flushes, requests. Read by `/metrics`, lost with the process.

Nothing here is read from the ledger; what waits there is measured when somebody asks (`api/metrics.py`).
"""

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Literal, NamedTuple

from whorl.capture.flush import Moved
from whorl.records import Accepted

Labels = tuple[str, ...]


class Sample(NamedTuple):
    """One line: what is added to the family's name, its labels, its value."""

    suffix: str
    labels: dict[str, str]
    value: float


class Family(NamedTuple):
    """Samples of one name, as Prometheus groups them."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[Sample]


class _Counted(NamedTuple):
    labels: Labels
    help: str


class _Timed(NamedTuple):
    labels: Labels
    help: str
    bounds: tuple[float, ...]


class _Spread:
    """How often a value fell below each bound, and the sum of all."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0


OF_RECORDS: Labels = ("flywheel", "kind")
COUNTERS: dict[str, _Counted] = {
    "whorl_records_accepted_total": _Counted(OF_RECORDS, "Records that are on disk."),
    "whorl_records_refused_total": _Counted((*OF_RECORDS, "code"), "Records that were refused, by reason."),
    "whorl_records_duplicate_total": _Counted(OF_RECORDS, "Records that had come before."),
    "whorl_records_without_consent_total": _Counted(OF_RECORDS, "Records that were refused for lack of consent."),
    "whorl_rows_flushed_total": _Counted(OF_RECORDS, "Rows that were moved from the inbox to the lake."),
    "whorl_requests_turned_away_total": _Counted(("reason",), "Requests refused at the door: no key, scope, flywheel, rate."),
}  # fmt: skip
HISTOGRAMS: dict[str, _Timed] = {
    "whorl_flush_seconds": _Timed(
        OF_RECORDS,
        "How long it took to move one batch to the lake.",
        (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    ),
    "whorl_freshness_seconds": _Timed(
        OF_RECORDS,
        "From when a record was taken in, just before its acknowledgement, until it can be queried.",
        (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 3600),
    ),
    "whorl_request_seconds": _Timed(
        ("method", "route", "status"),
        "From a request's headers to the end of its answer.",
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ),
}


class Meter:
    """Counters and histograms, shared by threads.

    >>> meter = Meter()
    >>> meter.accepted("fraud", "labels", 3)
    >>> [family.samples[0].value for family in meter.families() if family.samples]
    [3]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[Labels, int]] = {name: defaultdict(int) for name in COUNTERS}
        self._spreads: dict[str, dict[Labels, _Spread]] = {name: {} for name in HISTOGRAMS}

    def took(self, flywheel: str, kind: str, answer: Accepted, *, repeated: bool = False) -> None:
        """What became of a batch; `repeated`: it is the answer of the first time, and nothing more was kept."""
        if repeated:
            self.duplicates(flywheel, kind, answer.accepted)
            return
        self.accepted(flywheel, kind, answer.accepted)
        self.without_consent(flywheel, kind, answer.without_consent)
        for code, n in Counter(refusal.code for refusal in answer.refused).items():
            self.refused(flywheel, kind, code, n)

    def accepted(self, flywheel: str, kind: str, n: int) -> None:
        """Records that are on disk."""
        self._count("whorl_records_accepted_total", (flywheel, kind), n)

    def refused(self, flywheel: str, kind: str, code: str, n: int = 1) -> None:
        """Records that were refused; `code` is that of the refusal, one of a fixed list."""
        self._count("whorl_records_refused_total", (flywheel, kind, code), n)

    def duplicates(self, flywheel: str, kind: str, n: int) -> None:
        """Records that had come before: in a batch of the same key, or as another one of a flush that says the same."""
        self._count("whorl_records_duplicate_total", (flywheel, kind), n)

    def without_consent(self, flywheel: str, kind: str, n: int) -> None:
        """Records that were refused for lack of consent; nothing else is kept of them."""
        self._count("whorl_records_without_consent_total", (flywheel, kind), n)

    def flushed(self, moved: Moved) -> None:
        """A batch can be queried."""
        labels = (moved.flywheel, moved.kind)
        self._count("whorl_rows_flushed_total", labels, moved.rows)
        self.duplicates(*labels, moved.doubles)
        with self._lock:
            self._time("whorl_flush_seconds", labels, moved.seconds)
            for records, waited_s in moved.waited:
                self._time("whorl_freshness_seconds", labels, waited_s, records)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request of a route was answered; `route` is its template, so that names do not become series."""
        with self._lock:
            self._time("whorl_request_seconds", (method, route, str(status)), seconds)

    def turned_away(self, reason: str) -> None:
        """A request that was refused before its body was read."""
        self._count("whorl_requests_turned_away_total", (reason,), 1)

    def families(self, flywheel: str | None = None) -> list[Family]:
        """Everything so far; of what is counted by flywheel, only that one's when it is named."""
        with self._lock:
            counted = [
                Family(name, "counter", what.help, [
                    Sample("", named, n) for labels, n in self._counts[name].items()
                    if _of(named := dict(zip(what.labels, labels, strict=True)), flywheel)
                ])
                for name, what in COUNTERS.items()
            ]  # fmt: skip
            timed = [
                Family(name, "histogram", what.help, [
                    sample for labels, spread in self._spreads[name].items()
                    if _of(named := dict(zip(what.labels, labels, strict=True)), flywheel)
                    for sample in _told(spread, what.bounds, named)
                ])
                for name, what in HISTOGRAMS.items()
            ]  # fmt: skip
        return [*counted, *timed]

    def _count(self, name: str, labels: Labels, n: int) -> None:
        if n:
            with self._lock:
                self._counts[name][labels] += n

    def _time(self, name: str, labels: Labels, seconds: float, times: int = 1) -> None:
        bounds = HISTOGRAMS[name].bounds
        spread = self._spreads[name].get(labels)
        if spread is None:
            spread = self._spreads[name][labels] = _Spread(bounds)
        spread.buckets[bisect_left(bounds, seconds)] += times
        spread.sum += seconds * times


def _of(labels: Mapping[str, str], flywheel: str | None) -> bool:
    return flywheel is None or labels.get("flywheel", flywheel) == flywheel


def _told(spread: _Spread, bounds: tuple[float, ...], labels: dict[str, str]) -> list[Sample]:
    """Buckets count all values up to their bound, as Prometheus wants them."""
    samples, seen = [], 0
    for bound, n in zip((*map(str, bounds), "+Inf"), spread.buckets, strict=True):
        seen += n
        samples.append(Sample("_bucket", {**labels, "le": bound}, seen))
    return [*samples, Sample("_sum", labels, spread.sum), Sample("_count", labels, seen)]
