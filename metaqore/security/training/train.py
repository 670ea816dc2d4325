"""Train the packaged weights: ``python -m metaqore.security.training.train --data FOLDER [--out FOLDER]``.

Fits on everything, sets the threshold on software that was not trained on, writes ``threats.bin`` and
``internal.bin``, and prints how well each does on groups of texts that it did not see. Same data, same installed
versions, same seed: same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from metaqore.security import threats
from metaqore.security.assess_linear import LinearModel
from metaqore.security.assess_payload import read
from metaqore.security.detect_internal import STRETCH_THRESHOLD
from metaqore.security.model import Position
from metaqore.security.normalise_views import views
from metaqore.security.training import corpus, learn, software
from metaqore.security.training.corpus import DOCUMENT, OWN, Text
from metaqore.security.training.learn import Bags, Bools, Floats, Weights

_FOLDS = 3
_SEED = 20261122
#: Share of the pieces of software never trained on that may be called attacks. Less than the hundredth that is wanted:
#: prose that speaks of agents and their orders is flagged more often than software.
_FALSE_POSITIVES = 0.008

Fit = Callable[[Bags, Bools], Weights]


def unseen_scores(texts: Sequence[Text], bags: Bags, fit: Fit, *, whole: bool = False) -> Floats:
    """Return the score of each text by a model that saw no text of its group; our own sentences always train.

    Args:
        whole: Score short texts as wholes, not by their strongest stretch.
    """
    keys = [text.group for text in texts]
    own = np.array([text.family == OWN for text in texts])
    names = sorted(set(keys))
    random = np.random.default_rng(_SEED)
    fold_of = dict(zip(names, random.integers(0, _FOLDS, len(names)), strict=True))
    folds = np.array([fold_of[key] for key in keys])
    scores = np.full(len(texts), np.nan)
    for fold in range(_FOLDS):
        held_out = (folds == fold) & ~own
        of_stretches = fit(bags, ~held_out).scores(bags)
        best = bags.whole_scores(of_stretches) if whole else bags.text_scores(of_stretches)
        scores[held_out] = best[held_out]
    return scores


def rule_weights(texts: Sequence[Text]) -> Floats:
    """Return what the threat rules add to each text."""
    weights = []
    for text in texts:
        document = read(text.original)
        seen = views(document.original, document.text)
        weights.append(threats.rule_weight(document, seen, Position(text.position)))
    return np.array(weights)


def threshold_of(model: LinearModel) -> float:
    """Return the total that only a small share of the pieces of software exceed that were never trained on."""
    pieces = software.pieces(unseen=True, seed=_SEED)
    totals = sorted(threats.total_of(piece.text, Position.ARTIFACT, model) for piece in pieces)
    return round(totals[int(len(totals) * (1 - _FALSE_POSITIVES))] + 0.05, 2)


def train_threats(data: Path, out: Path, report: TextIO) -> None:
    """Train, measure and write ``threats.bin``."""
    texts = corpus.attacks(data)
    bags = learn.bags_of(texts)

    def fit(bags: Bags, train: Bools) -> Weights:
        return learn.fit_parts(bags, train, strength=1.0)

    weights = fit(bags, np.ones(len(texts), bool))
    threshold = threshold_of(LinearModel(weights.pack("threats", 0.0)))
    (out / "threats.bin").write_bytes(weights.pack("threats", threshold, seed=_SEED, texts=len(texts)))
    rules = rule_weights(texts)
    linear = unseen_scores(texts, bags, fit)
    expected = np.array([threats.by_chance(max(map(len, text.readings))) for text in texts])
    total = np.maximum(linear - expected, threats.FLOOR) + rules
    measured = ~np.isnan(linear)
    report.write(f"threats: threshold {threshold:.2f}, groups never split\n")
    _table(texts, total, measured, threshold, report)


def _table(texts: Sequence[Text], total: Floats, measured: Bools, threshold: float, report: TextIO) -> None:
    """Print recall by family and false positives by family of innocent texts."""
    families = np.array([text.family for text in texts])
    positive = np.array([text.positive for text in texts]) & measured
    transformed = np.array([text.transformed for text in texts])
    caught = total > threshold
    report.write(f"  recall {caught[positive].mean():.3f}, transformed {caught[positive & transformed].mean():.3f}, ")
    report.write(f"false positives {caught[measured & ~positive].mean():.4f}\n")
    for family in sorted(set(families[measured])):
        of = measured & (families == family)
        kind = "recall" if positive[of].any() else "false positives"
        report.write(f"  {family:32} {kind:16} {caught[of].mean():.3f} of {of.sum()}\n")


def train_internal(data: Path, out: Path, report: TextIO) -> None:
    """Train, measure and write ``internal.bin``."""
    texts = corpus.business(data)
    bags = learn.bags_of(texts)

    def fit(bags: Bags, train: Bools) -> Weights:
        return learn.fit_whole(bags, train, strength=0.3)

    scores = unseen_scores(texts, bags, fit, whole=True)
    document = np.array([text.family == DOCUMENT for text in texts])
    for name, of, threshold in (("sentences", ~document, 0.0), ("long documents", document, STRETCH_THRESHOLD)):
        measured = of & ~np.isnan(scores)
        right = ((scores > threshold) == bags.positive)[measured].mean()
        report.write(f"internal: {right:.4f} of {measured.sum()} {name} right; templates and sources never split\n")
    weights = fit(bags, np.ones(len(texts), bool))
    (out / "internal.bin").write_bytes(weights.pack("internal", 0.0, seed=_SEED, texts=len(texts)))


def main(arguments: Sequence[str], report: TextIO) -> None:
    """Run the training; ``arguments`` as on the command line."""
    parser = argparse.ArgumentParser(description="Train the weights of SecureGateway's linear models.")
    parser.add_argument("--data", type=Path, required=True, help="folder of attacks.jsonl.gz and sensitivity.jsonl.gz")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "weights")
    parser.add_argument("--only", choices=["threats", "internal"])
    options = parser.parse_args(arguments)
    if options.only != "threats":
        train_internal(options.data, options.out, report)
    if options.only != "internal":
        train_threats(options.data, options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdout)
