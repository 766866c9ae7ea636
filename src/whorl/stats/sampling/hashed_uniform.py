"""A random number that belongs to an id: the same in every process, row order and year. Selection and splits go by it."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats

Keys = npt.NDArray[np.uint64]


def hashed_uniform(ids: Iterable[str], seed: str) -> Floats:
    """Uniform numbers (n,) in [0, 1), one per id, independent between ids and between seeds.

    The first 53 of 64 bits of BLAKE2b(BLAKE2b(seed) + id). About 1 microsecond an id.
    Source: Ohlsson (1995), "Coordination of samples using permanent random numbers".

    >>> hashed_uniform(["txn_1", "txn_2"], "holdout").round(6).tolist()
    [0.819857, 0.074835]
    """
    # The seed's digest goes first, not in as BLAKE2's key: the key costs a block of its own, and with it half the speed.
    start = blake2b(blake2b(seed.encode(), digest_size=32).digest(), digest_size=8).copy

    def digest(one: str) -> bytes:
        state = start()
        state.update(one.encode())
        return state.digest()

    bits = np.frombuffer(b"".join(map(digest, ids)), dtype=">u8")
    uniform: Floats = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def keyed_uniform(keys: Keys, seed: str) -> Floats:
    """As `hashed_uniform`, of whole numbers (n,) of 64 bits that belong to the ids: a few nanoseconds a number.

    Each is mixed twice with bits of BLAKE2b(seed). Numbers that are equal stay equal.
    Source: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", OOPSLA, the mix of SplitMix64.

    >>> keyed_uniform(np.array([1, 2], dtype=np.uint64), "holdout").round(6).tolist()
    [0.637558, 0.142414]
    """
    first, second = np.frombuffer(blake2b(seed.encode(), digest_size=16).digest(), dtype="<u8")
    mixed = _mixed(_mixed(keys ^ first) + second)
    uniform: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def uniform_of(ids: Sequence[str] | Keys, seed: str) -> Floats:
    """`keyed_uniform` of numbers, `hashed_uniform` of texts."""
    return keyed_uniform(ids, seed) if isinstance(ids, np.ndarray) else hashed_uniform(ids, seed)


def _mixed(bits: Keys) -> Keys:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
