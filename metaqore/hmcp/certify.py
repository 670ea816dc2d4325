"""Thresholds with a finite-sample guarantee (Learn-then-Test).

Each threshold is a hypothesis, "more than alpha of what is routed at this threshold disagrees with the teacher",
tested with an exact binomial p-value. Fixed-sequence testing controls the family-wise error at delta without paying
for the number of thresholds, because the order is fixed before the calibration answers are seen.

Source: Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test", arXiv 2110.01052; Clopper and Pearson,
Biometrika 26 (1934).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from metaqore.hmcp.model import Certificate

#: Thresholds in a sequence. More would cost nothing in validity, and time only.
GRID = 40


def binomial_cdf(successes: int, trials: int, probability: float) -> float:
    """Return P(X <= successes) for X binomial in ``trials`` and ``probability``."""
    if successes >= trials or probability <= 0:
        return 1.0
    if successes < 0 or probability >= 1:
        return 0.0
    log_p, log_q, log_n = math.log(probability), math.log1p(-probability), math.lgamma(trials + 1)
    terms = (
        math.exp(log_n - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q)
        for k in range(successes + 1)
    )
    return min(1.0, math.fsum(terms))


def clopper_pearson(errors: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval for a rate of ``errors`` in ``trials``; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else _solve(lambda p: 1 - binomial_cdf(errors - 1, trials, p) < tail)
    high = 1.0 if errors == trials else _solve(lambda p: binomial_cdf(errors, trials, p) > tail)
    return low, high


def required_samples(alpha: float, delta: float, errors: int = 0) -> int:
    """Return the least routed calibration examples that certify ``alpha`` when ``errors`` of them are wrong.

    With 0 errors 45 for (0.05, 0.10), 114 for (0.02, 0.10).
    """
    low, high = errors + 1, errors + 2
    while binomial_cdf(errors, high, alpha) > delta:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if binomial_cdf(errors, middle, alpha) <= delta:
            high = middle
        else:
            low = middle + 1
    return low


def sequence(confidences: Sequence[float], correct: Sequence[bool], calibration_size: int, alpha: float) -> list[float]:
    """Return thresholds in the order in which to test them.

    The order comes from training data alone (out-of-fold ``confidences``, all above 0 where the example is in the
    domain): it begins where the test is likeliest to succeed with ``calibration_size`` examples and goes down from
    there, towards more coverage.
    """
    ranked = sorted(zip(confidences, correct, strict=True), key=lambda pair: -pair[0])
    ranked = [pair for pair in ranked if pair[0] > 0]
    if not ranked:
        return []
    grid: dict[float, float] = {}
    errors = 0
    step = max(1, len(ranked) // GRID)
    for count, (confidence, right) in enumerate(ranked, 1):
        errors += not right
        if count % step == 0 or count == len(ranked):
            routed = round(calibration_size * count / len(confidences))
            expected = math.ceil(routed * errors / count)
            grid[confidence] = binomial_cdf(expected, routed, alpha) if routed else 1.0
    start = min(grid, key=lambda threshold: (grid[threshold], -threshold))
    return sorted((threshold for threshold in grid if threshold <= start), reverse=True)


def certify(
    confidences: Sequence[float], correct: Sequence[bool], thresholds: Sequence[float], alpha: float, delta: float
) -> list[Certificate]:
    """Return the certificates of all thresholds before the first that fails its test; empty where the first fails.

    They hold together, with probability 1 - ``delta``, so any of them may be chosen on whatever grounds. The last one
    routes most.

    Args:
        confidences: of the calibration examples; 0 is outside the domain and never routed.
        correct: whether the specialist agrees with the teacher, for each example.
        thresholds: in the order of ``sequence``; chosen without looking at ``confidences`` and ``correct``.
    """
    found: list[Certificate] = []
    for tested, threshold in enumerate(thresholds, 1):
        routed = [right for confidence, right in zip(confidences, correct, strict=True) if 0 < confidence >= threshold]
        errors = len(routed) - sum(routed)
        p_value = binomial_cdf(errors, len(routed), alpha) if routed else 1.0
        if p_value > delta:
            break
        found.append(Certificate(threshold, alpha, delta, len(routed), errors, p_value, tested))
    return found


def _solve(is_below: Callable[[float], bool]) -> float:
    """Return the rate at which ``is_below`` turns from True to False, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
