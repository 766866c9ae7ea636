"""Rows that are found by a key, in time that hardly grows with how many there are: for what is derived, never for the truth.

Runs of rows are Arrow files, written once and mapped into memory, so that a few rows are read without the others. An
index holds the hashes of the keys in order, each with the place of its row; indexes of like size are merged, so that
there are few of them however many runs there are. Two keys may share a hash: who asks compares the keys.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.records import Record
from whorl.storage.packed_rows import pack, unpack

Hashes = npt.NDArray[np.uint64]

# So many indexes of like size become one.
FANOUT = 8
# Merged so many entries at a time, which bounds the memory.
STRETCH = 4_000_000
# Looking up waits for memory, which two can do at a time.
THREADS = 2
_PLACE_BITS = np.uint64(32)


class Made(Record, frozen=True, kw_only=True):
    """What has been written: how many runs, and of which each index holds the entries: first, one past the last, entries."""

    runs: int = 0
    indexes: tuple[tuple[int, int, int], ...] = ()


class KeyedRows:
    """The rows of a folder.

    Args:
        made: What of it counts; files beyond it are left from a writer that did not end.
    """

    def __init__(self, folder: Path, made: Made) -> None:
        self._folder, self.made = folder, made

    def add(self, hashes: Hashes, rows: pa.Table) -> None:
        """Write a run: the hash (n,) of each row's key, and the rows. At most 2^32 rows.

        Raises ValueError where an index of before is damaged.
        """
        if not len(hashes):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        run = self.made.runs
        _write_rows(self._run(run), rows)
        order = np.argsort(hashes)
        places = order.astype(np.uint64) | np.uint64(run) << _PLACE_BITS
        _write_index(self._index(run, run + 1), [(hashes[order], places)])
        self.made = Made(runs=run + 1, indexes=(*self.made.indexes, (run, run + 1, len(hashes))))
        self._merge()

    def find(self, hashes: Hashes) -> pa.Table | None:
        """Rows whose key has one of these hashes, each given once, in no particular order; None when there are none."""
        with ThreadPoolExecutor(THREADS) as pool:
            places = list(pool.map(self._places, np.array_split(np.sort(hashes), THREADS)))
            return self._rows_at(np.sort(np.concatenate(places)), pool)

    def _places(self, wanted: Hashes) -> Hashes:
        """Places of the rows that have one of these hashes, which are in order."""
        indexes = [self._index(first, last) for first, last, _ in self.made.indexes]
        found = [_found(*_read_index(path), wanted) for path in indexes]
        return np.concatenate(found) if found else wanted[:0]

    def _rows_at(self, places: Hashes, pool: Executor) -> pa.Table | None:
        if not len(places):
            return None
        runs = (places >> _PLACE_BITS).astype(np.int64)
        starts = np.flatnonzero(np.diff(runs, prepend=-1))
        parts = np.split((places & np.uint64(0xFFFFFFFF)).astype(np.int64), starts[1:])
        found = pool.map(_read_rows, map(self._run, runs[starts].tolist()), parts)
        return pa.concat_tables(found, promote_options="permissive")

    def _merge(self) -> None:
        """Merge the last indexes while there are `FANOUT` of like size."""
        indexes = list(self.made.indexes)
        while len(indexes) >= FANOUT and indexes[-FANOUT][2] < FANOUT * indexes[-1][2]:
            few = indexes[-FANOUT:]
            first, last = few[0][0], few[-1][1]
            _write_index(self._index(first, last), [_read_index(self._index(a, b)) for a, b, _ in few])
            indexes[-FANOUT:] = [(first, last, sum(n for _, _, n in few))]
        self.made = Made(runs=self.made.runs, indexes=tuple(indexes))

    def sweep(self, before: Made) -> None:
        """Remove files that do not count any more; those that did `before` are left to who is reading them."""
        kept = self.files() | KeyedRows(self._folder, before).files()
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path not in kept:
                    path.unlink()

    def files(self) -> set[Path]:
        """Those that count."""
        indexes = {self._index(first, last) for first, last, _ in self.made.indexes}
        return indexes | {self._run(run) for run in range(self.made.runs)}

    def _run(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrow"

    def _index(self, first: int, last: int) -> Path:
        return self._folder / f"{first:06d}-{last:06d}.index"


def _write_rows(path: Path, rows: pa.Table) -> None:
    table = pack(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read_rows(path: Path, rows: npt.NDArray[np.int64]) -> pa.Table:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        return unpack(reader.read_all().take(pa.array(rows)))


def _write_index(path: Path, sources: Sequence[tuple[Hashes, Hashes]]) -> None:
    """All hashes in order, then their places; sources are in order by themselves.

    Written, not mapped: a full disk is an error then, where a page of a map that finds no room ends the process.
    """
    total = sum(len(keys) for keys, _ in sources)
    written, stretches = 0, -(-total // STRETCH)
    bounds = [np.uint64(2**64 // stretches * number) for number in range(1, stretches)]
    cuts = [[0, *np.searchsorted(keys, bounds).tolist(), len(keys)] for keys, _ in sources]
    with path.open("wb") as out:
        for number in range(stretches):
            ranges = [slice(cut[number], cut[number + 1]) for cut in cuts]
            keys = np.concatenate([keys[part] for (keys, _), part in zip(sources, ranges, strict=True)])
            places = np.concatenate([places[part] for (_, places), part in zip(sources, ranges, strict=True)])
            order = np.argsort(keys, kind="stable")
            for start, entries in ((written, keys), (total + written, places)):
                out.seek(start * entries.itemsize)
                out.write(entries[order].data)
            written += len(keys)
    if written != total:
        raise ValueError(f"An index that goes into {path.name} is not in order.")


def _found(keys: Hashes, places: Hashes, wanted: Hashes) -> Hashes:
    left = np.searchsorted(keys, wanted)
    there = left < len(keys)
    there[there] = keys[left[there]] == wanted[there]
    left = left[there]
    count = np.searchsorted(keys, wanted[there], side="right") - left
    ends = np.cumsum(count)
    inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - count, count)
    return np.asarray(places[np.repeat(left, count) + inside])


def _read_index(path: Path) -> tuple[Hashes, Hashes]:
    entries = np.memmap(path, dtype=np.uint64, mode="r")
    half = len(entries) // 2
    return entries[:half], entries[half:]
