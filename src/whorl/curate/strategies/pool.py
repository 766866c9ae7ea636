"""What a strategy may see: the rows that could be chosen, what models say of them, and the rows whose truth was bought."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from whorl.stats.arrays import Floats, Indices
from whorl.stats.sampling.hashed_uniform import Keys, uniform_of


@dataclass(frozen=True)
class Pool:
    """n rows to choose from. Never their truth: a strategy that works where labels are bought works everywhere.

    Args:
        ids: (n,) unique. What is decided by chance goes by them, not by the rows' order.
        keys: (n,) whole numbers as good as random that belong to the ids; without them each id is hashed when asked for.
        probability: (n, k) of each class, by the champion; nan where it did not answer; k = 0: no champion answers.
        embedding: Places of rows (by index) as (m, d) finite numbers, in which near rows are alike; made when asked for.
        others: (n, k) of each further model: the last challenger, the previous champion.
        labelled: (m, d) places of rows whose truth is known already; None: not one is.
        truth: (m,) classes of those, as whole numbers; None: there are no classes, or none is known.
        severity: (n,) at least 0: what an error on the row costs.
        seed: Names this draw.
    """

    ids: Sequence[str]
    probability: Floats
    embedding: Callable[[Indices], Floats]
    others: tuple[Floats, ...] = ()
    labelled: Callable[[], Floats] | None = None
    severity: Floats = field(default_factory=lambda: np.ones(0))
    seed: str = ""
    keys: Keys | None = None
    truth: Indices | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        if not len(self.severity):
            object.__setattr__(self, "severity", np.ones(n))
        shapes = [len(self.probability), len(self.severity), *map(len, self.others)]
        if set(shapes) - {n}:
            raise ValueError(f"A pool of {n} rows has columns of lengths {shapes}.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answered(self) -> bool:
        """Whether a champion said anything that tells rows apart."""
        known = self.probability[~np.isnan(self.probability).any(axis=1)]
        return bool(self.probability.shape[1] > 1 and len(known) and np.ptp(known, axis=0).any())

    def lots(self, purpose: str) -> Floats:
        """A uniform number (n,) for each id: what breaks ties."""
        return uniform_of(self.ids if self.keys is None else self.keys, f"{self.seed}/{purpose}")
