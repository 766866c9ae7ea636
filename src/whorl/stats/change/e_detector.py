"""Has the rate of errors risen? A detector that may look after every row, and says how often it errs.

The mixture Shiryaev-Roberts e-detector. Each row multiplies the evidence for "the odds of an error have grown by this factor
since row s" by a likelihood ratio; the evidence is added up over every s and mixed over a few factors. The rate before is not
known: it is Krichevsky and Trofimov's estimate from all rows before, so that the ratio is one of predictive distributions.

What is promised. Write R for the evidence after t rows. While nothing changes, R - t is a martingale under the law that draws
the base rate from Jeffreys' prior: with an alarm at R >= 1 / rate, the mean number of rows to a false alarm is at least 1 / rate,
and the chance of one within n rows at most n x rate. That is proven over the prior, not for each base rate by itself; there it
is simulated (`benchmarks/alarms.py`). How well the base rate is known costs delay, not false alarms.

Source: Shin, Ramdas & Rinaldo (2023), E-detectors, NEJSDS 2(2); Roberts (1966), Technometrics 8:411-430; Krichevsky & Trofimov
(1981), IEEE Trans. Inf. Theory 27:199-207.
"""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats

# Alternatives: by what factor the odds of an error have grown, and how much of the evidence is staked on each. Small
# shifts get more: there a nat of evidence costs hundreds of rows, with large ones a handful.
ODDS: Floats = np.array([1.25, 1.5, 2.0, 3.0, 5.0])
STAKES: Floats = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
# Evidence grows at most fivefold a row: a block of this many stays far inside what a float holds.
BLOCK = 128


def first_alarm(errors: npt.ArrayLike, rate: float) -> int | None:
    """The first row at which the evidence for a higher rate of errors reaches 1 / rate.

    Args:
        errors: (n,), in order; 0 or 1, or losses in [0, 1], which are taken for as much of an error.
        rate: False alarms per row that are borne, in (0, 1): 1e-5 is one in 100,000 rows.

    Returns:
        Its place from 0, or None. None too while every row was an error: there is nothing worse to go to.

    Raises:
        ValueError: rate is outside (0, 1), or a value is nan or outside [0, 1].

    >>> quiet, worse = [0, 0, 0, 0, 1] * 400, [0, 1] * 100
    >>> first_alarm(quiet, 1e-5), first_alarm(quiet + worse, 1e-5)
    (None, 2049)
    """
    x = checked(errors)
    if not 0 < rate < 1:
        raise ValueError(f"A rate of {rate} false alarms per row: it lies between 0 and 1.")
    seen = np.arange(1, len(x) + 1)
    summed = np.cumsum(x)
    base = (summed - x + 0.5) / seen
    evidence = np.zeros(len(ODDS))
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        ratio = (1 + x[part, None] * (ODDS - 1)) / (1 + base[part, None] * (ODDS - 1))
        grown = np.cumprod(ratio, axis=0)
        begun = np.cumsum(np.vstack([np.ones_like(evidence), 1 / grown[:-1]]), axis=0)
        course = grown * (evidence + begun)
        high = (course @ STAKES >= 1 / rate) & (summed[part] < seen[part])
        if high.any():
            return start + int(np.argmax(high))
        evidence = course[-1]
    return None


def checked(errors: npt.ArrayLike) -> Floats:
    """Errors (n,) as floats. Raises ValueError when one is nan or outside [0, 1].

    >>> checked([True, False]).tolist()
    [1.0, 0.0]
    """
    x = np.asarray(errors, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"Errors are one number a row; these have shape {x.shape}.")
    bad = ~((x >= 0) & (x <= 1))
    if bad.any():
        place = int(np.argmax(bad))
        raise ValueError(
            f"{int(bad.sum())} of {len(x)} errors are not in [0, 1]; the first, in place {place}, is {x[place]}."
        )
    return x
