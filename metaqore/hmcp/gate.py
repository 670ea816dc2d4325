"""The validation gate: what a specialist must show, on examples that it has not seen, before it may answer.

Judged is the artefact as it is stored, loaded again. All stages must pass; a stage that is not known fails.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from metaqore.hmcp.artefact import Artefact, Loaded
from metaqore.hmcp.certify import clopper_pearson
from metaqore.hmcp.foreign import deferral
from metaqore.hmcp.model import SENSITIVITIES, GateReport, Prediction, StageResult
from metaqore.hmcp.perturb import KEEPS_RIGHT, KEEPS_SAME, Attack
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.ports import Adversary
from metaqore.hmcp.train import Example
from metaqore.hmcp.triggers import scan

#: Single predictions that are timed.
_TIMED = 30


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of MetaQore says about the specialist."""

    #: Conflicts that PSMP has open on its declaration.
    open_conflicts: int
    #: Active specialist of another pattern that answers the same signature, None where there is none.
    signature_taken_by: str | None
    #: Most sensitive label that the organization lets specialists learn from.
    sensitivity_ceiling: str
    #: ``Artefact.digest`` of a second training on the same examples, None where none was made.
    rebuilt_digest: str | None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a stage may look at."""

    artefact: Artefact
    candidate: Loaded
    #: The gate part of the examples: later than, and no near-duplicates of, all that was trained and calibrated on.
    examples: Sequence[Example]
    #: Predictions of the candidate for ``examples``.
    predictions: Sequence[Prediction]
    #: The specialist that answers now, None where there is none.
    champion: Loaded | None
    surroundings: Surroundings
    policy: Policy
    adversary: Adversary
    #: Everything that the candidate was made from.
    recorded: Sequence[Example] = ()


def run_gate(
    candidate: Loaded,
    artefact: Artefact,
    examples: Sequence[Example],
    policy: Policy,
    surroundings: Surroundings,
    adversary: Adversary,
    champion: Loaded | None = None,
    recorded: Sequence[Example] = (),
) -> GateReport:
    """Return what every stage of the policy measured and whether it passed.

    Args:
        candidate: ``artefact``, loaded.
        examples: see ``Case.examples``.
        recorded: see ``Case.recorded``.
    """
    case = Case(
        artefact=artefact,
        candidate=candidate,
        examples=examples,
        predictions=candidate.predict([example.prompt for example in examples]),
        champion=champion,
        surroundings=surroundings,
        policy=policy,
        adversary=adversary,
        recorded=recorded,
    )
    return GateReport(tuple(_stage(name, case) for name in policy.gate.stages))


def _stage(name: str, case: Case) -> StageResult:
    if name not in STAGES:
        return StageResult(name, False, reasons=(f"there is no stage {name!r}; known: {', '.join(STAGES)}",))
    return STAGES[name](case)


def functional(case: Case) -> StageResult:
    """Is it certified, useful, right on examples of later days, quick and small?"""
    limits, certificate = case.policy.gate.functional, case.candidate.specialist.certificate
    alpha = case.policy.certify.alpha
    total = len(case.examples)
    routed, errors = _routed_errors(case.predictions, case.examples)
    right = sum(p.answer == e.answer for p, e in zip(case.predictions, case.examples, strict=True))
    low, high = clopper_pearson(errors, routed)
    latency_ms, size_mb = _latency_ms(case), len(case.artefact.weights) / 1e6
    majority = max(Counter(example.answer for example in case.examples).values(), default=0)
    measures = {
        "examples": total,
        "accuracy": _share(right, total),
        "majority_accuracy": _share(majority, total),
        "coverage": _share(routed, total),
        "routed": routed,
        "routed_errors": errors,
        "routed_error": _share(errors, routed),
        "routed_error_low": low,
        "routed_error_high": high,
        "threshold": certificate.threshold if certificate else None,
        "p_value": certificate.p_value if certificate else None,
        "calibration_routed": certificate.routed if certificate else 0,
        "calibration_errors": certificate.errors if certificate else 0,
        "latency_ms": latency_ms,
        "size_mb": size_mb,
    }
    checks = {
        f"no threshold could be certified for alpha {alpha} and delta {case.policy.certify.delta}": certificate is None,
        "the gate part holds no example": total == 0,
        f"it answers {_share(routed, total):.1%} of the gate part": _share(routed, total) < limits.min_coverage,
        f"{errors} of {routed} routed answers of the gate part are wrong": errors > alpha * routed,
        "it is no better than always giving the commonest answer": right <= majority,
        f"one prediction takes {latency_ms:.1f} ms": latency_ms > limits.max_latency_ms,
        f"it has {size_mb:.1f} MB": size_mb > limits.max_size_mb,
    }
    return _result("functional", measures, {"alpha": alpha, **_limits(limits)}, checks)


def forgetting(case: Case) -> StageResult:
    """Is it as good as the specialist that answers now, over all and for each label?

    That one may have been trained on some of the examples, which only makes the comparison harder to pass.
    """
    limits = case.policy.gate.forgetting
    if case.champion is None:
        return StageResult("forgetting", True, {"champion": None}, _limits(limits))
    now = case.champion.predict([example.prompt for example in case.examples])
    old: Counter[str] = Counter()
    new: Counter[str] = Counter()
    cases = Counter(example.answer for example in case.examples)
    for example, was, is_now in zip(case.examples, now, case.predictions, strict=True):
        old[example.answer] += was.answer == example.answer
        new[example.answer] += is_now.answer == example.answer
    total = len(case.examples)
    drop = _share(old.total() - new.total(), total)
    drops = {
        label: (old[label] - new[label]) / count for label, count in cases.items() if count >= limits.min_label_cases
    }
    worst = max(drops.values(), default=0.0)
    measures: dict[str, float | int | str] = {
        "champion": case.champion.specialist.weights_hash,
        "champion_accuracy": _share(old.total(), total),
        "accuracy": _share(new.total(), total),
        "worst_label_drop": worst,
        "labels_compared": len(drops),
    }
    checks = {
        "the gate part holds no example": total == 0,
        f"accuracy falls by {drop:.1%}": drop > limits.max_drop,
        f"accuracy of one label falls by {worst:.1%}": worst > limits.max_label_drop,
    }
    return _result("forgetting", measures, _limits(limits), checks)


def adversarial(case: Case) -> StageResult:
    """Does it stay right, or silent, under disguise and persuasion?

    Attacked is every example that it routes. Where the attack hides nothing and adds nothing (``KEEPS_RIGHT``) the
    share of wrong answers among what is still routed counts; where something is added (``KEEPS_SAME``) the share of
    confident answers that change. Then foreign and hostile payloads, which it has to defer (``foreign``), and words by
    which one author could turn its answers (``triggers``).
    """
    limits, alpha, frame = case.policy.gate.adversarial, case.policy.certify.alpha, case.candidate.specialist.frame
    attacked = [(e, p) for e, p in zip(case.examples, case.predictions, strict=True) if p.routed]
    measures: dict[str, float | int | str] = {"cases": len(attacked)}
    checks = {f"{len(attacked)} routed examples are too few to attack": len(attacked) < limits.min_cases}
    most = {
        "homoglyph": limits.homoglyph * alpha,
        "zero_width": limits.zero_width * alpha,
        "padding": limits.padding_flip,
        "injection": limits.injection_flip,
    }
    for name, attack in {**KEEPS_RIGHT, **KEEPS_SAME}.items():
        rng = random.Random(f"{case.policy.train.seed}/{name}")
        prompts = [
            frame.prefix + _attack(attack, frame.payload(e.prompt) or "", rng, case, p) + frame.suffix
            for e, p in attacked
        ]
        after = case.candidate.predict(prompts)
        routed = sum(prediction.routed for prediction in after)
        if name in KEEPS_RIGHT:
            wrong = sum(q.routed and q.answer != e.answer for q, (e, _) in zip(after, attacked, strict=True))
            share = _share(wrong, routed)
        else:
            wrong = sum(q.routed and q.answer != p.answer for q, (_, p) in zip(after, attacked, strict=True))
            share = _share(wrong, len(attacked))
        measures |= {name: share, f"{name}_routed": routed}
        checks[f"{name}: {share:.1%}, at most {most[name]:.1%}"] = share > most[name]
    found = deferral(case.candidate, attacked, case.adversary, case.policy)
    triggers = scan(case.candidate, case.recorded)
    measures |= found.measures | triggers.measures
    return _result("adversarial", measures, _limits(limits), checks | found.checks | triggers.checks)


def psmp_compatibility(case: Case) -> StageResult:
    """Does it fit what is declared already, stay below the ceiling, and come out the same when built again?"""
    around, sensitivity = case.surroundings, case.candidate.specialist.sensitivity
    known = sensitivity in SENSITIVITIES and around.sensitivity_ceiling in SENSITIVITIES
    above = not known or SENSITIVITIES.index(sensitivity) > SENSITIVITIES.index(around.sensitivity_ceiling)
    measures = {
        "open_conflicts": around.open_conflicts,
        "signature_taken_by": around.signature_taken_by,
        "sensitivity": sensitivity,
        "digest": case.artefact.digest,
        "rebuilt_digest": around.rebuilt_digest,
    }
    checks = {
        f"{around.open_conflicts} conflicts are open: resolve them": around.open_conflicts > 0,
        f"specialist {around.signature_taken_by} has this signature: retire it": around.signature_taken_by is not None,
        f"it learnt from {sensitivity}, above {around.sensitivity_ceiling}": above,
        "built again from the same examples it is not the same": around.rebuilt_digest != case.artefact.digest,
    }
    return _result("psmp_compatibility", measures, {"sensitivity_ceiling": around.sensitivity_ceiling}, checks)


def _attack(attack: Attack, payload: str, rng: random.Random, case: Case, clean: Prediction) -> str:
    others = [label for label in case.candidate.specialist.labels if label != clean.answer]
    return attack(payload, rng, others)


def _routed_errors(predictions: Sequence[Prediction], examples: Sequence[Example]) -> tuple[int, int]:
    routed = [p.answer == e.answer for p, e in zip(predictions, examples, strict=True) if p.routed]
    return len(routed), len(routed) - sum(routed)


def _latency_ms(case: Case) -> float:
    """Median time of one prediction, so that a busy moment of the machine does not decide."""
    took = []
    for example in case.examples[:_TIMED]:
        began = time.perf_counter()
        case.candidate.predict([example.prompt])
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000 if took else 0.0


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _limits(limits: msgspec.Struct) -> dict[str, float | int | str]:
    found: dict[str, float | int | str] = msgspec.to_builtins(limits)
    return found


def _result(
    stage: str,
    measures: Mapping[str, float | int | str | bool | None],
    limits: Mapping[str, float | int | str],
    checks: Mapping[str, bool],
) -> StageResult:
    """``checks`` maps what would be wrong to whether it is."""
    reasons = tuple(reason for reason, wrong in checks.items() if wrong)
    return StageResult(stage, not reasons, measures, limits, reasons)


#: Stage → what runs it.
STAGES: Mapping[str, Callable[[Case], StageResult]] = {
    "functional": functional,
    "forgetting": forgetting,
    "adversarial": adversarial,
    "psmp_compatibility": psmp_compatibility,
}
