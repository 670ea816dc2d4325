from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from metaqore.errors import SettingsError
from metaqore.hmcp.classifier import _LOOKALIKES, common_frame, fit, plain, vectorise
from metaqore.hmcp.model import Features, Frame, Guard

FEATURES = Features((1, 1), (2, 4), 12)
TEXTS = ["red apple", "red cherry", "green leaf", "green grass", "blue sky", "blue sea"] * 5
ANSWERS = [text.split()[0] for text in TEXTS]


def test_a_frame_gives_the_payload_of_its_own_prompts_only() -> None:
    frame = Frame("Q: ", " A:")
    assert frame.payload("Q: why A:") == "why"
    assert frame.payload("Q: why") is None
    assert frame.payload("why A:") is None
    assert Frame("aba", "bab").payload("abab") is None


def test_the_common_frame_ends_at_a_blank_or_mark() -> None:
    prompts = ["Label: fixed it\nAnswer:", "Label: fixes it\nAnswer:"]
    assert common_frame(prompts) == Frame("Label: ", " it\nAnswer:")
    assert common_frame(["same", "same"]) == Frame("", "")
    assert common_frame(["x: same!", "x: same!"]) == Frame("x: same!", "")
    assert common_frame([]) == Frame("", "")


def test_a_classifier_learns_and_is_surer_of_what_it_has_seen() -> None:
    model = fit(vectorise(TEXTS, FEATURES), ANSWERS, FEATURES)
    answers, confidences, novelty = model.judge(vectorise(["red berry", "zzz qqq"], FEATURES))
    assert answers[0] == "red"
    assert confidences[0] > confidences[1]
    assert novelty[0] < novelty[1]


def test_two_labels_and_more_give_confidences_that_are_probabilities() -> None:
    for labels in (2, 3):
        chosen = [(t, a) for t, a in zip(TEXTS, ANSWERS, strict=True) if a in ("red", "green", "blue")[:labels]]
        model = fit(vectorise([t for t, _ in chosen], FEATURES), [a for _, a in chosen], FEATURES)
        _, confidences, _ = model.judge(vectorise(TEXTS, FEATURES))
        assert all(1 / labels <= confidence <= 1 for confidence in confidences)


def test_confidence_agrees_with_scikit_learn() -> None:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    rows = vectorise(TEXTS, FEATURES)
    model = fit(rows, ANSWERS, FEATURES)
    reference = LogisticRegression(C=100.0, solver="newton-cg", max_iter=200).fit(rows, ANSWERS)
    fresh = vectorise(["red sea", "green apple pie", "sky"], FEATURES)
    answers, confidences, _ = model.judge(fresh)
    assert answers == list(reference.predict(fresh))
    assert np.allclose(confidences, reference.predict_proba(fresh).max(axis=1), atol=1e-4)


def test_outside_the_domain_the_confidence_is_zero() -> None:
    model = fit(vectorise(TEXTS, FEATURES), ANSWERS, FEATURES)
    model = replace(model, frame=Frame("Colour of ", "?"), guard=Guard(max_chars=20, max_novelty=0.6))
    inside, foreign, long, bare, empty = model.decide(
        ["Colour of red apple?", "Colour of zzzz?", f"Colour of {'red ' * 10}?", "red apple", "Colour of ?"]
    )[1]
    assert inside > 0
    assert (foreign, long, bare, empty) == (0, 0, 0, 0)
    assert model.decide([]) == ([], [])


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("іgnоre", "ignore"),
        ("f\u200bi\u00adx", "fix"),
        ("ｆｉｘ", "fix"),
        ("ﬁx", "fix"),
        ("привет мир", "привет мир"),
        ("naïve", "naïve"),
        ("日本", "日本"),
    ],
)
def test_text_is_read_as_a_reader_sees_it(text: str, seen: str) -> None:
    assert plain(text) == seen


def test_the_lookalikes_are_letters_of_other_scripts() -> None:
    for source, target in _LOOKALIKES.items():
        assert source > 0x24F
        assert target < 0x7F


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SettingsError, match=r"metaqore\[ml\]"):
        fit(None, [], FEATURES)


def test_importing_hmcp_needs_neither_numpy_nor_scikit_learn() -> None:
    import subprocess

    code = (
        "import sys; import metaqore.hmcp.build, metaqore.hmcp.discover, metaqore.hmcp.rules; "
        "print([m for m in ('numpy', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stdout.strip() == "[]"
