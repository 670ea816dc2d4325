"""Train a specialist on recorded calls, and find the confidence from which it may answer.

Near-duplicates go first, then the examples are split by time: the oldest train, the next calibrate, the latest are
kept for the gate. Whatever is measured is measured on examples that no earlier step has seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from metaqore.canonical import content_hash, sha256_hex
from metaqore.errors import MetaQoreError
from metaqore.hmcp.artefact import Artefact, pack, pack_weights
from metaqore.hmcp.certify import certify, required_samples, sequence
from metaqore.hmcp.classifier import Classifier, common_frame, fit, require_ml, vectorise
from metaqore.hmcp.discover import in_scope
from metaqore.hmcp.duplicates import without_near_duplicates
from metaqore.hmcp.model import SENSITIVITIES, Block, Certificate, Features, Guard, Pattern, Specialist, TaskEvent
from metaqore.hmcp.outputs import canonical_answer
from metaqore.hmcp.perturb import rehearsal
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.signature import matches

#: Ways to cut the text, of which the one with most coverage out of fold is taken: short for keywords, long for style.
CANDIDATES = (Features((1, 1), (2, 4)), Features((1, 2), (3, 5)))
#: Share of a task's own traffic that the domain guard may turn away.
_GUARD_TAIL = 0.02
_LENGTH_SLACK = 1.5


class NotTrainable(MetaQoreError):
    """The recorded calls are not enough to train a specialist on."""

    code = "not_trainable"


class Example(msgspec.Struct, frozen=True):
    """One prompt and the teacher's answer in canonical form."""

    prompt: str
    answer: str
    at: int
    label: str
    project: str = ""
    #: Who asked.
    agent: str = ""


class Trained(msgspec.Struct, frozen=True):
    """A specialist, not gated yet, the examples kept for the gate, and all that there are."""

    artefact: Artefact
    specialist: Specialist
    gate: tuple[Example, ...]
    recorded: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class _OutOfFold:
    """A candidate as measured on training examples that its folds had not seen."""

    features: Features
    confidences: list[float]
    correct: list[bool]
    novelty: list[float]
    #: Confidence in another answer once an instruction to give it is appended; 0 where the answer stays.
    swayed: list[float]

    def flips(self, threshold: float) -> float:
        """Share of the confident answers that an instruction turns into a confident other one."""
        routed = [other for own, other in zip(self.confidences, self.swayed, strict=True) if own >= threshold]
        return sum(other >= threshold for other in routed) / len(routed) if routed else 0.0

    def coverage(self, alpha: float) -> float:
        """Largest share of the examples that can be routed with an error of at most ``alpha``."""
        best = errors = 0
        for count, (_, right) in enumerate(sorted(zip(self.confidences, self.correct, strict=True), reverse=True), 1):
            errors += not right
            best = count if errors <= alpha * count else best
        return best / len(self.correct)


def train(pattern: Pattern, events: Sequence[TaskEvent], policy: Policy) -> Trained:
    """Return a specialist for the pattern, trained and calibrated on those of ``events`` that are of it.

    The same events and policy give the same bytes on the same machine.

    Raises:
        NotTrainable: too few examples or labels; the message says how many there are and how many are needed.
        SettingsError: the extra ``ml`` is not installed.
    """
    np = require_ml()
    import sklearn

    examples = examples_of(pattern, events, policy)
    fresh = _fresh(examples, policy)
    training, calibration, gate = _split(fresh, policy)
    frame = common_frame([example.prompt for example in training])
    classifier, order, best, measures = _fit(
        [frame.payload(example.prompt) or "" for example in training],
        [example.answer for example in training],
        len(calibration),
        pattern.output.labels,
        policy,
    )
    classifier = replace(classifier, frame=frame)
    answers, confidences = classifier.decide([example.prompt for example in calibration])
    correct = [answer == example.answer for answer, example in zip(answers, calibration, strict=True)]
    certificates = certify(confidences, correct, order, policy.certify.alpha, policy.certify.delta)
    weights = pack_weights(classifier)
    specialist = Specialist(
        organization=pattern.organization,
        signature=pattern.signature,
        labels=classifier.labels,
        features=classifier.features,
        frame=frame,
        guard=classifier.guard,
        certificate=_choose(certificates, best, policy),
        sensitivity=max((example.label for example in examples), key=SENSITIVITIES.index),
        blocks={"train": _block(training), "calibration": _block(calibration), "gate": _block(gate)},
        measures={**measures, "recorded": len(examples), "near_duplicates": len(examples) - len(fresh)},
        data_hash=content_hash([[example.at, example.prompt, example.answer] for example in examples]),
        policy_hash=policy.digest,
        weights_hash=sha256_hex(weights),
        seed=policy.train.seed,
        libraries={"numpy": np.__version__, "scikit-learn": sklearn.__version__},
        projects=_projects(examples, policy),
    )
    return Trained(pack(specialist, weights), specialist, tuple(gate), tuple(examples))


def examples_of(pattern: Pattern, events: Sequence[TaskEvent], policy: Policy) -> list[Example]:
    """Return the latest ``max_examples`` examples of the pattern, oldest first."""
    own = [
        Example(
            event.prompt,
            canonical_answer(event.output),
            event.at,
            event.label.upper(),
            event.project or "",
            event.agent,
        )
        for event in events
        if event.organization == pattern.organization and in_scope(event, policy) and matches(pattern.signature, event)
    ]
    # The order in which the events came must not matter to the bytes that come out.
    own.sort(key=lambda example: (example.at, example.prompt, example.answer, example.agent))
    return own[-policy.train.max_examples :]


def _fresh(examples: Sequence[Example], policy: Policy) -> list[Example]:
    """Without near-duplicates of earlier ones; compared is the payload, since the frame would make all alike."""
    frame = common_frame([example.prompt for example in examples])
    payloads = [frame.payload(example.prompt) or "" for example in examples]
    kept = without_near_duplicates(payloads, policy.train.near_duplicate, policy.train.seed)
    return [examples[index] for index in kept]


def _split(
    examples: Sequence[Example], policy: Policy
) -> tuple[Sequence[Example], Sequence[Example], Sequence[Example]]:
    first = round(len(examples) * policy.train.split.train)
    second = first + round(len(examples) * policy.train.split.calibration)
    calibration = examples[first:second]
    needed = required_samples(policy.certify.alpha, policy.certify.delta)
    if len(calibration) < needed:
        raise NotTrainable(
            f"{len(examples)} examples remain without near-duplicates, {len(calibration)} of them to calibrate on; "
            f"a certificate for alpha {policy.certify.alpha} and delta {policy.certify.delta} needs {needed}"
        )
    return examples[:first], calibration, examples[second:]


def _fit(
    payloads: Sequence[str], answers: Sequence[str], calibration_size: int, labels: Sequence[str], policy: Policy
) -> tuple[Classifier, list[float], _OutOfFold, dict[str, float]]:
    """Return the classifier with its domain guard, the thresholds to test, and what was measured out of fold."""
    chosen = [index for index, answer in enumerate(answers) if answer in labels]
    payloads, answers = [payloads[index] for index in chosen], [answers[index] for index in chosen]
    counts = Counter(answers)
    if len(counts) < 2 or min(counts.most_common(2)[1][1], len(answers)) < policy.train.folds:
        raise NotTrainable(
            f"the training part has {len(counts)} label(s) with {dict(counts.most_common(5))} examples; "
            f"two labels with at least {policy.train.folds} each are needed"
        )
    tried = [_out_of_fold(payloads, answers, features, policy) for features in CANDIDATES]
    alpha = policy.certify.alpha
    best = max(tried, key=lambda candidate: candidate.coverage(alpha))
    novelty = sorted(best.novelty)
    guard = Guard(
        max_chars=round(_LENGTH_SLACK * max(map(len, payloads))),
        max_novelty=novelty[min(len(novelty) - 1, int((1 - _GUARD_TAIL) * len(novelty)))],
    )
    inside = [
        confidence if new <= guard.max_novelty else 0.0
        for confidence, new in zip(best.confidences, best.novelty, strict=True)
    ]
    order = sequence(inside, best.correct, calibration_size, alpha)
    accuracy = sum(best.correct) / len(best.correct)
    measures = {
        "out_of_fold_accuracy": accuracy,
        "out_of_fold_coverage": best.coverage(alpha),
        # Even a method that abstains on its errors alone must abstain on this share.
        "least_abstention": max(0.0, (1 - accuracy - alpha) / (1 - alpha)),
    }
    return replace(fit(vectorise(payloads, best.features), answers, best.features), guard=guard), order, best, measures


def _choose(certificates: Sequence[Certificate], best: _OutOfFold, policy: Policy) -> Certificate | None:
    """Return the certificate that routes most among those that instructions in the payload seldom sway.

    All of them hold at once, so the choice costs nothing in validity. Where none is steady enough the strictest is
    returned; the gate decides.
    """
    steady = [c for c in certificates if best.flips(c.threshold) <= policy.gate.adversarial.injection_flip / 2]
    return steady[-1] if steady else next(iter(certificates), None)


def _out_of_fold(payloads: Sequence[str], answers: Sequence[str], features: Features, policy: Policy) -> _OutOfFold:
    np = require_ml()
    shuffled = np.random.default_rng(policy.train.seed).permutation(len(payloads)).tolist()
    # Dealt out label by label, so that no fold takes all examples of a label with it.
    dealt = sorted(shuffled, key=lambda index: answers[index])
    rng = random.Random(policy.train.seed)
    labels = sorted(set(answers))
    rehearsed = [
        rehearsal(payload, rng, [label for label in labels if label != answer])
        for payload, answer in zip(payloads, answers, strict=True)
    ]
    rows, attacked = vectorise(payloads, features), vectorise(rehearsed, features)
    confidences, novelty, swayed = [0.0] * len(payloads), [1.0] * len(payloads), [0.0] * len(payloads)
    correct = [False] * len(payloads)
    for fold in range(policy.train.folds):
        held = dealt[fold :: policy.train.folds]
        rest = sorted(set(dealt) - set(held))
        model = fit(rows[rest], [answers[index] for index in rest], features)
        said, sure, new = model.judge(rows[held])
        after, pressed, _ = model.judge(attacked[held])
        for place, index in enumerate(held):
            confidences[index], novelty[index] = sure[place], new[place]
            correct[index] = said[place] == answers[index]
            swayed[index] = pressed[place] if after[place] != said[place] else 0.0
    return _OutOfFold(features, confidences, correct, novelty, swayed)


def _projects(examples: Sequence[Example], policy: Policy) -> tuple[str, ...]:
    """Return the projects of which enough was learnt: a certificate says nothing about calls like no example."""
    counts = Counter(example.project for example in examples)
    return tuple(sorted(name for name, count in counts.items() if count >= policy.route.min_project_calls))


def _block(examples: Sequence[Example]) -> Block:
    return Block(len(examples), examples[0].at, examples[-1].at) if examples else Block(0, 0, 0)
