"""The history that a replay plays: predictions in order of time, and labels in order of the time they became known."""

from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.clock import as_utc


class History(msgspec.Struct, frozen=True):
    """Mapped rows in the lake's columns, without received_at, day and split: the replay gives those.

    Args:
        predictions: Sorted by time, then id.
        labels: Sorted by time, then id.
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
        """Sort both and keep them."""
        order = [("time", "ascending"), ("id", "ascending")]
        return cls(
            predictions.sort_by(order).combine_chunks(),
            labels.sort_by(order).combine_chunks(),
            data_hash,
            notes or [],
        )

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


def _microseconds(table: pa.Table) -> npt.NDArray[np.int64]:
    times = table["time"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(times.to_numpy(), dtype=np.int64)


def _us(when: datetime) -> int:
    return round(as_utc(when).timestamp() * 1e6)
