"""The history that a replay plays: predictions in order of time, and labels in order of the time they became known."""

from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.clock import as_utc


class History(msgspec.Struct, frozen=True):
    """Rows as they came to the lake, at the times they came.

    Args:
        predictions: Rows of the lake's `predictions`, sorted by time, then id, received when they happened.
        labels: Rows of the lake's `labels`, sorted the same way.
        data_hash: sha256 of where they came from.
        notes: What reading them found, for the report.
    """

    predictions: pa.Table
    labels: pa.Table
    data_hash: str
    notes: list[str] = []

    @classmethod
    def of(
        cls, predictions: pa.Table, labels: pa.Table, data_hash: str, notes: list[str] | None = None
    ) -> "History":
        """Sort both, and take each row as received at its own time."""
        return cls(_in_order(predictions), _in_order(labels), data_hash, notes or [])

    def groups(self) -> list[str]:
        """What the holdout hash goes by, for each prediction."""
        groups, ids = self.predictions["group_id"].to_pylist(), self.predictions["id"].to_pylist()
        return [g if g is not None else i for g, i in zip(groups, ids, strict=True)]

    def prediction_range(self, first: datetime | None, last: datetime) -> tuple[int, int]:
        """Places [begin, end) of the predictions with first <= time < last."""
        times = _microseconds(self.predictions)
        begin = 0 if first is None else int(np.searchsorted(times, _us(first)))
        return begin, int(np.searchsorted(times, _us(last)))

    def labels_before(self, when: datetime) -> int:
        """How many labels were known before a time."""
        return int(np.searchsorted(_microseconds(self.labels), _us(when)))


def _in_order(rows: pa.Table) -> pa.Table:
    ordered = rows.sort_by([("time", "ascending"), ("id", "ascending")]).combine_chunks()
    return ordered.set_column(ordered.schema.get_field_index("received_at"), "received_at", ordered["time"])


def _microseconds(table: pa.Table) -> npt.NDArray[np.int64]:
    times = table["time"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(times.to_numpy(), dtype=np.int64)


def _us(when: datetime) -> int:
    return round(as_utc(when).timestamp() * 1e6)
