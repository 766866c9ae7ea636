"""How sure each gate must be, so that a holdout may be asked again and again: alpha spending over looks.

Asked twenty times at 5 %, a holdout lets a challenger that is no better through by luck more often than not. Look k gets
alpha / (k (k + 1)) instead; the shares add up to alpha over any number of looks, planned or not. A look is a comparison whose
interval could have promoted; one that found too few rows spends nothing. What this does not cover: a challenger that was
fitted to the holdout's earlier answers. Verdicts leak little, published scores much: keep both scarce. Rows that no earlier
look has seen need no budget.

Source: Foster & Stine (2008), JRSS-B 70:429-444, for spending over an open-ended sequence; Bonferroni's inequality.
"""


def alpha_at(look: int, alpha: float = 0.05) -> float:
    """The chance of a false promotion that look 1, 2, ... on the same rows may take.

    Raises:
        ValueError: look is below 1 or alpha outside (0, 1).

    >>> alpha_at(1), alpha_at(4), round(sum(alpha_at(k) for k in range(1, 100)), 4)
    (0.025, 0.0025, 0.0495)
    """
    if look < 1 or not 0 < alpha < 1:
        raise ValueError(f"Look {look} with alpha {alpha}: looks count from 1, alpha lies between 0 and 1.")
    return alpha / (look * (look + 1))


def level_at(look: int, alpha: float = 0.05) -> float:
    """The two-sided level whose lower bound alone errs with `alpha_at(look)`: what to give to `paired_difference`.

    >>> level_at(1), level_at(4)
    (0.95, 0.995)
    """
    return 1 - 2 * alpha_at(look, alpha)
