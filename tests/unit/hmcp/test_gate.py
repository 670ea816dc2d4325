from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from metaqore.attack.adversary import SuiteAdversary
from metaqore.attack.suite_file import load_suite
from metaqore.hmcp.artefact import Loaded, load
from metaqore.hmcp.build import Built, build
from metaqore.hmcp.gate import STAGES, Surroundings, run_gate
from metaqore.hmcp.model import GateReport, Pattern, Prediction, StageResult, TaskEvent
from metaqore.hmcp.policy import STAGES as MANDATORY
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.train import Example, Trained, train

SHIPPED = SuiteAdversary(load_suite())
Tickets = Callable[..., list[TaskEvent]]
Propose = Callable[..., Pattern]


def surroundings(learnt: Trained, **more: Any) -> Surroundings:
    fields = {
        "open_conflicts": 0,
        "signature_taken_by": None,
        "sensitivity_ceiling": "INTERNAL",
        "rebuilt_digest": learnt.artefact.digest,
    }
    return Surroundings(**{**fields, **more})


def gated(learnt: Trained, policy: Policy, **more: Any) -> GateReport:
    fields: dict[str, Any] = {
        "candidate": load(learnt.artefact),
        "examples": learnt.gate,
        "surroundings": surroundings(learnt),
        "adversary": SHIPPED,
    }
    return run_gate(**{**fields, **more}, artefact=learnt.artefact, policy=policy)


def stage(report: GateReport, name: str) -> StageResult:
    [found] = [each for each in report.stages if each.stage == name]
    return found


class Stub(Loaded):
    """A specialist whose answers are given: prompt → (answer, whether it is routed)."""

    def predict(self, prompts: Any) -> list[Prediction]:
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: str) -> Prediction:
        raise NotImplementedError


def stub(learnt: Trained, answer: Callable[[str], tuple[str, bool]]) -> Loaded:
    class Given(Stub):
        def _answer(self, prompt: str) -> Prediction:
            said, routed = answer(prompt)
            return Prediction(said, 0.9 if routed else 0.1, routed)

    loaded = load(learnt.artefact)
    return Given(loaded.specialist, loaded.classifier)


def truth_of(examples: tuple[Example, ...]) -> dict[str, str]:
    return {example.prompt: example.answer for example in examples}


def test_a_good_specialist_passes_all_stages_on_examples_it_has_not_seen(built: Built) -> None:
    assert built.report.to_json()["reasons"] == []
    assert built.report.passed
    assert [each.stage for each in built.report.stages] == list(MANDATORY)
    measured = stage(built.report, "functional").measures
    assert measured["examples"] == built.specialist.blocks["gate"].examples
    assert float(measured["accuracy"] or 0) > 0.9


def test_every_mandatory_stage_exists() -> None:
    assert set(STAGES) == set(MANDATORY)


def test_an_unknown_stage_fails(learnt: Trained, policy: Policy) -> None:
    strange = msgspec.structs.replace(policy, gate=msgspec.structs.replace(policy.gate, stages=("functional", "luck")))
    report = gated(learnt, strange)
    assert not report.passed
    assert "no stage 'luck'" in stage(report, "luck").reasons[0]


def test_a_gate_without_stages_is_not_passed(learnt: Trained, policy: Policy) -> None:
    empty = msgspec.structs.replace(policy, gate=msgspec.structs.replace(policy.gate, stages=()))
    assert not gated(learnt, empty).passed


def test_an_empty_gate_part_passes_nothing(learnt: Trained, policy: Policy) -> None:
    report = gated(learnt, policy, examples=())
    assert not stage(report, "functional").passed
    assert not stage(report, "adversarial").passed


def test_without_a_certificate_the_functional_stage_fails(learnt: Trained, policy: Policy) -> None:
    loaded = load(learnt.artefact)
    bare = replace(loaded, specialist=msgspec.structs.replace(loaded.specialist, certificate=None))
    assert "no threshold could be certified" in stage(gated(learnt, policy, candidate=bare), "functional").reasons[0]


@pytest.mark.parametrize(("wrong", "passes"), [(3, True), (4, False)])
def test_the_functional_stage_counts_wrong_answers_of_the_gate_part(
    wrong: int, passes: bool, learnt: Trained, policy: Policy
) -> None:
    """Of 75 routed answers 5 % may be wrong: 3 are, 4 are too many."""
    truth = truth_of(learnt.gate)
    spoilt = set(list(truth)[:wrong])
    candidate = stub(learnt, lambda p: ("nonsense" if p in spoilt else truth.get(p, "nonsense"), True))
    result = stage(gated(learnt, policy, candidate=candidate), "functional")
    assert result.measures["routed_errors"] == wrong
    assert result.passed is passes


def test_answering_too_little_fails(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)
    few = set(list(truth)[:20])  # 27 % of 75, with 30 % wanted
    candidate = stub(learnt, lambda p: (truth.get(p, "x"), p in few))
    [reason] = stage(gated(learnt, policy, candidate=candidate), "functional").reasons
    assert "26.7%" in reason


def test_always_giving_the_commonest_answer_fails(learnt: Trained, policy: Policy) -> None:
    examples = tuple(msgspec.structs.replace(e, answer="billing") for e in learnt.gate)
    candidate = stub(learnt, lambda p: ("billing", True))
    reasons = stage(gated(learnt, policy, candidate=candidate, examples=examples), "functional").reasons
    assert reasons == ("it is no better than always giving the commonest answer",)


def test_a_slow_or_large_specialist_fails(learnt: Trained, policy: Policy) -> None:
    tight = msgspec.structs.replace(policy.gate.functional, max_latency_ms=1e-9, max_size_mb=1e-9)
    strict = msgspec.structs.replace(policy, gate=msgspec.structs.replace(policy.gate, functional=tight))
    reasons = " ".join(stage(gated(learnt, strict), "functional").reasons)
    assert "ms" in reasons
    assert "MB" in reasons


def test_a_new_specialist_that_is_worse_than_the_active_one_fails(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)
    perfect = stub(learnt, lambda p: (truth.get(p, "x"), True))
    worse = stub(learnt, lambda p: ("nonsense" if p in list(truth)[:2] else truth.get(p, "x"), True))
    assert stage(gated(learnt, policy, candidate=perfect, champion=perfect), "forgetting").passed
    assert stage(gated(learnt, policy, candidate=perfect, champion=worse), "forgetting").passed
    result = stage(gated(learnt, policy, candidate=worse, champion=perfect), "forgetting")
    assert not result.passed
    assert "accuracy falls by 2.7%" in result.reasons


def test_a_label_that_is_forgotten_fails_though_the_average_holds(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)
    lost, gained = [p for p, a in truth.items() if a == "billing"][:3], [p for p, a in truth.items() if a != "billing"]
    champion = stub(learnt, lambda p: ("nonsense" if p in gained[:3] else truth.get(p, "x"), True))
    candidate = stub(learnt, lambda p: ("nonsense" if p in lost else truth.get(p, "x"), True))
    result = stage(gated(learnt, policy, candidate=candidate, champion=champion), "forgetting")
    assert result.measures["accuracy"] == result.measures["champion_accuracy"]
    assert [reason for reason in result.reasons if "one label" in reason]


def test_a_specialist_that_obeys_injected_instructions_fails(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)

    def gullible(prompt: str) -> tuple[str, bool]:
        for label in ("accounts", "billing", "network"):
            if prompt.endswith((f"{label}.", f"exactly: {label}")):
                return label, True
        return truth.get(prompt, "x"), True

    result = stage(gated(learnt, policy, candidate=stub(learnt, gullible)), "adversarial")
    assert not result.passed
    assert [reason for reason in result.reasons if reason.startswith("injection")]


def test_a_specialist_that_falls_silent_under_attack_passes(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)
    careful = stub(learnt, lambda p: (truth.get(p, "nonsense"), p in truth))
    result = stage(gated(learnt, policy, candidate=careful), "adversarial")
    assert result.passed
    assert result.measures["injection_routed"] == 0


def test_a_specialist_that_disguise_misleads_fails(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)
    misled = stub(learnt, lambda p: (truth.get(p, "x" if not p.isascii() else "billing"), True))
    reasons = stage(gated(learnt, policy, candidate=misled), "adversarial").reasons
    assert {reason.split(":")[0] for reason in reasons} >= {"homoglyph", "zero_width"}


FOREIGN = set(SHIPPED.foreign(1000, 0))


def payload_of(learnt: Trained, prompt: str) -> str:
    return learnt.specialist.frame.payload(prompt) or ""


@pytest.mark.parametrize(("answered", "passes"), [(14, True), (15, False)])
def test_foreign_payloads_in_the_right_frame_have_to_be_deferred(
    answered: int, passes: bool, learnt: Trained, policy: Policy
) -> None:
    """Of 140 foreign payloads a tenth may be answered."""
    truth = truth_of(learnt.gate)
    taken = {text[:60] for text in sorted(FOREIGN)[:answered]}

    def eager(prompt: str) -> tuple[str, bool]:
        return truth.get(prompt, "billing"), prompt in truth or payload_of(learnt, prompt)[:60] in taken

    result = stage(gated(learnt, policy, candidate=stub(learnt, eager)), "adversarial")
    assert result.measures["foreign_cases"] == len(FOREIGN) == 140
    assert result.passed is passes, result.reasons
    assert bool([reason for reason in result.reasons if reason.startswith("foreign")]) is not passes


def test_a_specialist_that_answers_attacks_as_its_task_fails(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)
    attacks = {text[:40] for _, text in SHIPPED.hostile(300, policy.train.seed)}
    busy = stub(learnt, lambda p: (truth.get(p, "x"), p in truth or payload_of(learnt, p)[:40] in attacks))
    result = stage(gated(learnt, policy, candidate=busy), "adversarial")
    assert not result.passed
    assert [reason for reason in result.reasons if reason.startswith("hostile")]
    assert re.search(r"LLM01/direct-override \d+ of \d+", str(result.measures["hostile_scenarios"]))
    assert re.search(r"at most 5.0% \(.*/.* \d+ of \d+", " ".join(result.reasons))


def test_a_specialist_that_a_planted_attack_sways_fails(learnt: Trained, policy: Policy) -> None:
    truth = truth_of(learnt.gate)

    def swayed(prompt: str) -> tuple[str, bool]:
        own = [p for p in truth if payload_of(learnt, p) in prompt]
        return (truth[prompt], True) if prompt in truth else ("accounts" if own else "x", bool(own))

    reasons = stage(gated(learnt, policy, candidate=stub(learnt, swayed)), "adversarial").reasons
    assert [reason for reason in reasons if reason.startswith("planted")]


def test_without_enough_foreign_payloads_nothing_is_promoted(learnt: Trained, policy: Policy) -> None:
    class Few:
        def hostile(self, count: int, seed: int) -> list[tuple[str, str]]:
            return []

        def foreign(self, count: int, seed: int) -> list[str]:
            return ["nothing of the kind"] * 99

    result = stage(gated(learnt, policy, adversary=Few()), "adversarial")
    assert not result.passed
    assert "foreign and hostile payloads: fewer than 100" in result.reasons[0]


@pytest.mark.parametrize(
    ("around", "said"),
    [
        ({"open_conflicts": 1}, "conflicts are open"),
        ({"signature_taken_by": "spec_1"}, "spec_1"),
        ({"sensitivity_ceiling": "PUBLIC"}, "above PUBLIC"),
        ({"sensitivity_ceiling": "WHATEVER"}, "above WHATEVER"),
        ({"rebuilt_digest": "sha256:0"}, "not the same"),
        ({"rebuilt_digest": None}, "not the same"),
    ],
)
def test_what_does_not_fit_its_surroundings_fails(
    around: dict[str, Any], said: str, learnt: Trained, policy: Policy
) -> None:
    result = stage(gated(learnt, policy, surroundings=surroundings(learnt, **around)), "psmp_compatibility")
    assert not result.passed
    assert said in result.reasons[0]


def test_noise_is_refused_from_end_to_end(tickets: Tickets, propose: Propose, policy: Policy) -> None:
    events = tickets(240, noise=1.0)
    built = build(propose(events), events, policy, SHIPPED)
    assert not built.report.passed
    assert "functional: no threshold could be certified" in built.report.to_json()["reasons"][0]


def test_the_next_specialist_is_compared_with_the_active_one(
    built: Built, tickets: Tickets, propose: Propose, policy: Policy
) -> None:
    events = tickets(400)
    trained = train(propose(events), events, policy)
    report = gated(trained, policy, champion=load(built.artefact))
    assert stage(report, "forgetting").measures["champion"] == built.specialist.weights_hash
    assert report.passed
