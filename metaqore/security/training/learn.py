"""Fit a linear model to stretches of text (multiple-instance learning).

A text is an attack when one stretch of it is: which one is not known. So: fit on the texts where the whole is the
attack; take of every other attack its strongest stretch; take the benign stretches that score high; fit again.
After Andrews, Tsochantaridis and Hofmann, "Support vector machines for multiple-instance learning" (2002).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression

from metaqore.security.assess_linear import BUCKETS, PAIR_WEIGHT, STRETCHES, pair_bucket, stretches, token_buckets
from metaqore.security.training.corpus import Text

_LONG = 48
_WINDOW = 32
_ROUNDS = 3
_HARD = -1.5

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Bags:
    """All stretches of all texts as one sparse matrix."""

    features: Any
    #: Text of each stretch.
    text: Ints
    length: Ints
    whole: Bools
    positive: Bools
    weight: Floats
    #: Of each text: the attack is only a part of it.
    planted: Bools

    def text_scores(self, scores: Floats) -> Floats:
        """Return the score of each text: that of its strongest stretch."""
        best = np.full(len(self.positive), -np.inf)
        np.maximum.at(best, self.text, scores)
        return best

    def whole_scores(self, scores: Floats) -> Floats:
        """Return the score of each short text as a whole, and of a long one its strongest stretch."""
        short = np.zeros(len(self.positive), bool)
        short[self.text[self.whole]] = True
        return self.text_scores(np.where(self.whole | ~short[self.text], scores, -np.inf))


@dataclass(frozen=True)
class Weights:
    """A fitted model."""

    coefficients: Floats
    bias: float

    def scores(self, bags: Bags) -> Floats:
        """Return the score of each stretch."""
        return np.asarray(bags.features @ self.coefficients + self.bias)

    def pack(self, name: str, threshold: float, **facts: Any) -> bytes:
        """Return the weights file: a line of JSON and a signed byte per bucket."""
        scale = float(np.abs(self.coefficients).max()) / 127
        body = np.round(self.coefficients / scale).astype(np.int8).tobytes()
        head = {"name": name, "scale": scale, "bias": self.bias, "threshold": threshold, **facts}
        return json.dumps(head, sort_keys=True).encode() + b"\n" + body


def bags_of(texts: Sequence[Text]) -> Bags:
    """Return the features of every stretch of ``texts``."""
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    about: list[tuple[int, int, bool]] = []
    own: dict[str, tuple[int, ...]] = {}
    for index, text in enumerate(texts):
        for tokens in text.readings:
            for first, last in stretches(len(tokens)):
                counts = _counts(tokens[first:last], own)
                columns.extend(counts)
                values.extend(count / (last - first) ** 0.5 for count in counts.values())
                ends.append(len(columns))
                about.append((index, last - first, (first, last) == (0, len(tokens))))
    text_of, length, whole = (np.array(column) for column in zip(*about, strict=True))
    return Bags(
        csr_matrix((np.array(values), np.array(columns), np.array(ends)), shape=(len(about), BUCKETS)),
        text_of,
        length,
        whole.astype(bool),
        np.array([text.positive for text in texts]),
        np.array([text.weight for text in texts]),
        np.array([text.planted for text in texts]),
    )


def _counts(tokens: Sequence[str], own: dict[str, tuple[int, ...]]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for token in tokens:
        if token not in own:
            own[token] = token_buckets(token)
        counts.update(own[token])
    for pair in pairwise(tokens):
        counts[pair_bucket(*pair)] += PAIR_WEIGHT
    return counts


def fit_whole(bags: Bags, train: Bools, strength: float, seed: int = 0) -> Weights:
    """Fit on whole texts, and on stretches of the negative ones, which are negative all through.

    Args:
        train: Marks the texts.
        strength: The inverse of the L2 penalty.
    """
    some = np.random.default_rng(seed).random(len(bags.text)) < 0.3
    parts = ~bags.positive[bags.text] & (bags.length >= _WINDOW) & some
    return _fit(bags, np.flatnonzero(train[bags.text] & (bags.whole | parts)), strength, balanced=True)


def fit_parts(bags: Bags, train: Bools, strength: float, seed: int = 0) -> Weights:
    """Fit on stretches, in rounds (see the module's text)."""
    random = np.random.default_rng(seed)
    positive = bags.positive[bags.text]
    usable = train[bags.text]
    size = np.zeros(len(bags.positive), dtype=int)
    np.maximum.at(size, bags.text, bags.length)
    everywhere = bags.whole | (bags.length == STRETCHES[-1])
    all_attack = usable & positive & everywhere & ~(bags.planted & (size > _LONG))[bags.text]
    innocent = usable & ~positive
    chosen = innocent & (bags.whole | (random.random(len(positive)) < 0.3)) | all_attack
    for turn in range(_ROUNDS):
        weights = _fit(bags, np.flatnonzero(chosen), strength, balanced=False)
        if turn < _ROUNDS - 1:
            scores = weights.scores(bags)
            chosen = (chosen & innocent) | all_attack | innocent & (scores > _HARD)
            chosen[_strongest(bags, np.flatnonzero(usable & positive), scores)] = True
    return weights


def _strongest(bags: Bags, candidates: Ints, scores: Floats) -> Ints:
    """Return, of the candidates, the one with the highest score in each text."""
    order = candidates[np.lexsort((-scores[candidates], bags.text[candidates]))]
    return np.asarray(order[np.r_[True, bags.text[order][1:] != bags.text[order][:-1]]])


def _fit(bags: Bags, chosen: Ints, strength: float, *, balanced: bool) -> Weights:
    text = bags.text[chosen]
    # A text of many stretches counts more than one of few, but not in proportion.
    share = bags.weight[text] / np.sqrt(np.bincount(text, minlength=len(bags.positive))[text])
    model = LogisticRegression(
        C=strength, solver="liblinear", max_iter=100, tol=1e-3, class_weight="balanced" if balanced else None
    )
    model.fit(bags.features[chosen], bags.positive[text], sample_weight=share)
    return Weights(model.coef_[0], float(model.intercept_[0]))
