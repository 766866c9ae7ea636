"""A random number that belongs to an id: the same in every process, row order and year. Selection and splits go by it."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from whorl.stats.arrays import Floats


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
