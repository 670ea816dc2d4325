from __future__ import annotations

import math
import random

import pytest

from metaqore.hmcp.certify import binomial_cdf, certify, clopper_pearson, required_samples, sequence


@pytest.mark.parametrize(("k", "n", "p"), [(0, 45, 0.05), (3, 50, 0.1), (18, 492, 0.05), (0, 1, 0.5), (700, 1000, 0.7)])
def test_the_binomial_agrees_with_scipy(k: int, n: int, p: float) -> None:
    from scipy.stats import binom  # type: ignore[import-untyped]

    assert math.isclose(binomial_cdf(k, n, p), binom.cdf(k, n, p), rel_tol=1e-9)


def test_the_binomial_at_its_ends() -> None:
    assert (binomial_cdf(-1, 5, 0.5), binomial_cdf(5, 5, 0.5), binomial_cdf(0, 0, 0.5)) == (0.0, 1.0, 1.0)
    assert (binomial_cdf(2, 5, 0.0), binomial_cdf(2, 5, 1.0)) == (1.0, 0.0)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 50), (40, 1000)])
def test_the_interval_agrees_with_the_beta_quantiles(k: int, n: int) -> None:
    from scipy.stats import beta

    low, high = clopper_pearson(k, n)
    assert math.isclose(low, beta.ppf(0.025, k, n - k + 1) if k else 0.0, abs_tol=1e-9)
    assert math.isclose(high, beta.ppf(0.975, k + 1, n - k) if k < n else 1.0, abs_tol=1e-9)
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 45), (0.02, 114), (0.01, 230)])
def test_the_samples_needed_without_an_error(alpha: float, needed: int) -> None:
    assert required_samples(alpha, 0.10) == needed
    assert binomial_cdf(0, needed, alpha) <= 0.10 < binomial_cdf(0, needed - 1, alpha)


def test_errors_cost_samples() -> None:
    needed = [required_samples(0.05, 0.10, errors) for errors in range(5)]
    assert needed == sorted(needed)
    assert all(binomial_cdf(k, n, 0.05) <= 0.10 < binomial_cdf(k, n - 1, 0.05) for k, n in enumerate(needed))


def test_the_sequence_ends_at_the_first_failure() -> None:
    confidences = [0.9] * 50 + [0.8] * 50 + [0.7] * 50
    correct = [True] * 50 + [False] * 25 + [True] * 25 + [True] * 50
    found = certify(confidences, correct, [0.9, 0.8, 0.1], 0.05, 0.10)
    assert [(c.threshold, c.routed, c.errors, c.tested) for c in found] == [(0.9, 50, 0, 1)]


def test_too_few_samples_certify_nothing() -> None:
    assert certify([0.9] * 44, [True] * 44, [0.5], 0.05, 0.10) == []
    assert len(certify([0.9] * 45, [True] * 45, [0.5], 0.05, 0.10)) == 1
    assert certify([], [], [0.5], 0.05, 0.10) == []
    assert certify([0.9] * 45, [True] * 45, [], 0.05, 0.10) == []


def test_what_is_outside_the_domain_is_never_routed() -> None:
    assert certify([0.0] * 1000, [True] * 1000, [0.0], 0.05, 0.10) == []


def test_the_sequence_goes_down_from_where_the_test_is_likeliest_to_succeed() -> None:
    confidences = [1 - n / 200 for n in range(200)]
    correct = [n < 100 or n % 2 == 0 for n in range(200)]
    order = sequence(confidences, correct, 200, 0.05)
    assert order == sorted(order, reverse=True)
    assert 0.4 < order[0] < 0.6
    assert sequence([], [], 100, 0.05) == []
    assert sequence([0.0, 0.0], [True, True], 100, 0.05) == []


def drawn(rng: random.Random, count: int, power: float) -> tuple[list[float], list[bool]]:
    """Examples that are right with a probability that grows with their confidence; ``power`` says how steeply."""
    confidences = [rng.random() for _ in range(count)]
    return confidences, [rng.random() < confidence**power for confidence in confidences]


def true_risk(threshold: float, power: float) -> float:
    """Wrong share of what is routed at ``threshold`` when confidence is uniform on [0, 1]."""
    right: float = (1 - threshold ** (power + 1)) / (power + 1) / (1 - threshold)
    return 1 - right


@pytest.mark.parametrize(("power", "alpha"), [(0.10, 0.05), (0.20, 0.05)])
def test_a_certificate_is_broken_no_more_often_than_it_says(power: float, alpha: float) -> None:
    """And the usual practice, the threshold whose calibration error is low enough, is broken far more often."""
    rng = random.Random(11)
    runs, delta, broken, broken_by_usual, issued = 200, 0.10, 0, 0, 0
    for _ in range(runs):
        order = sequence(*drawn(rng, 500, power), 500, alpha)
        confidences, correct = drawn(rng, 500, power)
        found = certify(confidences, correct, order, alpha, delta)
        issued += bool(found)
        broken += bool(found) and true_risk(found[-1].threshold, power) > alpha
        usual = certify(confidences, correct, order, alpha, 0.55)  # about: error at most alpha
        broken_by_usual += bool(usual) and true_risk(usual[-1].threshold, power) > alpha
    most = runs * delta + 2 * math.sqrt(runs * delta * (1 - delta))
    assert broken <= most
    assert issued > runs / 5
    assert broken_by_usual > 2 * most
