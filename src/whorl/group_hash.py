"""Which groups are frozen as holdout: a keyed hash of the group, so that the answer never depends on order or time.

The key is drawn once per flywheel and kept in the ledger; without it nobody can aim at the holdout. The group is the
user, account or session that must not straddle the two sides; a prediction without one is its own group.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from whorl.records import Split


def split_of(holdout_key: str, group: str, holdout_share: float) -> Split:
    """The side a group is on, for good: a larger share only moves groups from train to holdout.

    Args:
        holdout_key: The flywheel's key, at most 64 bytes.
        group: The group's name, or the prediction's id where there is no group.
        holdout_share: Share of groups held out, in [0, 1].

    >>> split_of("key", "user_9876", 0.0), split_of("key", "user_9876", 1.0)
    ('train', 'holdout')
    """
    return "holdout" if held_out(holdout_key, [group], holdout_share)[0] else "train"


def held_out(holdout_key: str, groups: Iterable[str], holdout_share: float) -> npt.NDArray[np.bool_]:
    """True where a group is on the holdout side; same answer as `split_of` one by one. Pass each group once.

    >>> held_out("key", ["a", "b"], 1.0).tolist()
    [True, True]
    """
    keyed = blake2b(key=holdout_key.encode(), digest_size=8)
    digests = b"".join(_digests(keyed, groups))
    # 53 bits are exact in a float, so a share of 1 holds out everything and a share of 0 nothing.
    uniform = (np.frombuffer(digests, dtype=">u8") >> np.uint64(11)) / 2.0**53
    return np.asarray(uniform < holdout_share)


def _digests(keyed: "blake2b", groups: Iterable[str]) -> Iterable[bytes]:
    for group in groups:
        one = keyed.copy()
        one.update(group.encode())
        yield one.digest()
