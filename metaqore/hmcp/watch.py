"""Whether a specialist keeps to what it promised, judged from tasks that its teacher answered as well.

Both tests may be looked at after every task, as often as one likes, because they are betting martingales: whoever bets
against a true hypothesis does not get rich, whenever he stops.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", arXiv 2010.09686; Shin,
Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", arXiv 2203.03532.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

#: Error rates against which drift is betted on, in multiples of alpha; and the stakes of a proof, as shares of all.
_WORSE = (2.0, 4.0, 8.0)
_STAKES = (1 / 3, 2 / 3, 0.999)
_MOST = 0.9


class Standing(msgspec.Struct, frozen=True):
    """What a sequential test says now."""

    passed: bool
    #: What the bets have become; ``passed`` from ``needed`` on.
    value: float
    needed: float


def drifted(errors: Sequence[bool], alpha: float, arl: int) -> Standing:
    """Return whether the error has risen above ``alpha``: a Shiryaev-Roberts e-detector, which begins anew every time.

    While the error is at most ``alpha`` given all that went before, the mean time to a false alarm is at least ``arl``
    tasks, however the tasks hang together.

    Args:
        errors: in their order, whether specialist and teacher disagreed.
    """
    rates = sorted({min(alpha * factor, _MOST) for factor in _WORSE if alpha < _MOST})
    # The stakes of Kelly for each rate; at most 1/alpha, so that nobody loses more than there is.
    stakes = [(rate - alpha) / (alpha * (1 - alpha)) for rate in rates]
    wealth = [0.0] * len(stakes)
    highest = 0.0
    for error in errors:
        wealth = [(1 + stake * (error - alpha)) * (own + 1) for stake, own in zip(stakes, wealth, strict=True)]
        highest = max(highest, sum(wealth) / len(wealth)) if wealth else 0.0
    return Standing(highest >= arl, highest, float(arl))


def proven(errors: Sequence[bool], alpha: float, delta: float) -> Standing:
    """Return whether the error is shown to be below ``alpha``; wrong with a probability of at most ``delta``.

    Args:
        errors: in their order, from the first task on.
    """
    stakes = [share / (1 - alpha) for share in _STAKES]
    wealth = [1.0] * len(stakes)
    highest = 1.0
    for error in errors:
        wealth = [(1 + stake * (alpha - error)) * own for stake, own in zip(stakes, wealth, strict=True)]
        highest = max(highest, sum(wealth) / len(wealth))
    return Standing(highest >= 1 / delta, highest, 1 / delta)


def least_proof(alpha: float, delta: float) -> int:
    """Return the tasks that a proof needs where no error occurs."""
    count = 1
    while not proven([False] * count, alpha, delta).passed:
        count += 1
    return count
