"""The small model: hashed words and character n-grams, and one linear weight for each label.

scikit-learn and numpy are an extra and are imported where they are used. A classifier answers with a confidence;
what confidence is enough is ``certify``'s business. Outside its domain the confidence is 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from metaqore.errors import SettingsError
from metaqore.hmcp.model import Features, Frame, Guard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Inverse strength of the L2 penalty. Keyword-like tasks want a weak one; 1 and 10 were worse on every corpus tried.
_C = 100.0

#: Letters of other scripts that are drawn like a Latin one.
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏԛԝвмнткАВЕЅЗІЈКМНОРСТУХαοενρτυικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhlqwbmhtkABES3IJKMHOPCTYXaoevptuikABEZHIKMNOPTYX",
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A trained classifier: int32 ``columns`` (m, sorted), float32 ``weights`` (1 or labels × m) and ``bias``."""

    labels: tuple[str, ...]
    features: Features
    frame: Frame
    guard: Guard
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def decide(self, prompts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return answer and confidence for each prompt; confidence 0 outside the domain."""
        payloads = [self.frame.payload(prompt) or "" for prompt in prompts]
        # What is too long is not even looked at: reading it would cost more than the teacher saves.
        payloads = [payload if len(payload) <= self.guard.max_chars else "" for payload in payloads]
        answers, confidences, novelty = self.judge(vectorise(payloads, self.features)) if payloads else ([], [], [])
        inside = [
            bool(payload) and new <= self.guard.max_novelty for payload, new in zip(payloads, novelty, strict=True)
        ]
        return answers, [confidence if ok else 0.0 for confidence, ok in zip(confidences, inside, strict=True)]

    def judge(self, rows: Any) -> tuple[list[str], list[float], list[float]]:
        """Return answer, confidence and novelty for each row of ``vectorise``, the domain set aside."""
        np = require_ml()
        place = np.minimum(np.searchsorted(self.columns, rows.indices), len(self.columns) - 1)
        known = self.columns[place] == rows.indices
        owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        scores = np.tile(self.bias.astype(np.float64), (rows.shape[0], 1))
        np.add.at(scores, owner[known], (self.weights[:, place[known]] * rows.data[known]).T)
        counts = np.bincount(owner, minlength=rows.shape[0])
        seen = np.bincount(owner[known], minlength=rows.shape[0])
        novelty = np.where(counts > 0, 1 - seen / np.maximum(counts, 1), 1.0)
        shares = _probabilities(scores)
        best = shares.argmax(axis=1)
        confidences = shares[np.arange(rows.shape[0]), best]
        return [self.labels[index] for index in best], confidences.tolist(), novelty.tolist()


def fit(rows: Any, answers: Sequence[str], features: Features) -> Classifier:
    """Return a classifier trained on rows of ``vectorise``; its frame is empty and its guard open.

    Needs two or more different answers.
    """
    np = require_ml()
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    columns = np.unique(rows.indices)
    # newton-cg is four times as fast as lbfgs on such data. One thread: the sums have one order, so that the same
    # examples give the same bytes, and other processes on the machine are left alone.
    with threadpool_limits(limits=1):
        model = LogisticRegression(C=_C, solver="newton-cg", max_iter=200).fit(rows[:, columns], list(answers))
    return Classifier(
        labels=tuple(str(label) for label in model.classes_),
        features=features,
        frame=Frame("", ""),
        guard=Guard(max_chars=10**9, max_novelty=1.0),
        columns=columns.astype(np.int32),
        weights=model.coef_.astype(np.float32),
        bias=model.intercept_.astype(np.float32),
    )


def vectorise(payloads: Sequence[str], features: Features) -> Any:
    """Return the payloads as a SciPy CSR matrix: word columns first, then character columns; each part L2-normed."""
    words, chars = _hashing(features)
    from scipy.sparse import hstack  # type: ignore[import-untyped]

    texts = [plain(payload) for payload in payloads]
    return hstack([words.transform(texts), chars.transform(texts)], format="csr")


@lru_cache(maxsize=16)
def _hashing(features: Features) -> tuple[Any, Any]:
    require_ml()
    from sklearn.feature_extraction.text import HashingVectorizer

    size = 2**features.bits
    return (
        HashingVectorizer(ngram_range=features.words, n_features=size),
        HashingVectorizer(analyzer="char_wb", ngram_range=features.chars, n_features=size),
    )


def plain(text: str) -> str:
    """Return the text as a reader sees it: NFKC, without invisible characters, and with letters of other scripts that
    look like Latin ones written as those where a word mixes scripts. Text of one script stays what it is.
    """
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf" and not "\ufe00" <= c <= "\ufe0f")
    return _WORD.sub(lambda found: _one_script(found[0]), text)


def common_frame(prompts: Sequence[str]) -> Frame:
    """Return the longest prefix and suffix that all prompts share, cut back to a blank or a mark.

    Cut back, because the payloads may happen to begin alike in the middle of a word.
    """
    if not prompts:
        return Frame("", "")
    prefix = _common_prefix(prompts)
    while prefix and (prefix[-1].isalnum() or prefix[-1] == "_"):
        prefix = prefix[:-1]
    suffix = _common_prefix([prompt[len(prefix) :][::-1] for prompt in prompts])[::-1]
    while suffix and (suffix[0].isalnum() or suffix[0] == "_"):
        suffix = suffix[1:]
    return Frame(prefix, suffix)


def require_ml() -> Any:
    """Return numpy.

    Raises:
        SettingsError: numpy or scikit-learn is not installed; the message names the extra that brings them.
    """
    try:
        import numpy as np
        import sklearn  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"specialists need {error.name}, which is not installed: pip install 'metaqore[ml]'"
        ) from error
    return np


def _probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of the scores; of a single score (two labels) the logistic function for both labels."""
    import numpy as np

    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _common_prefix(texts: Sequence[str]) -> str:
    # What the first and the last in order share, all between them share too.
    first, last = min(texts), max(texts)
    shared = 0
    while shared < len(first) and first[shared] == last[shared : shared + 1]:
        shared += 1
    return first[:shared]


def _one_script(word: str) -> str:
    latin = any(c.isascii() and c.isalpha() for c in word)
    return word.translate(_LOOKALIKES) if latin and not word.isascii() else word
