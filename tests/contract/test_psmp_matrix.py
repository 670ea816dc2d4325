"""Mode × class × severity: what becomes of each class of conflict, found by the real engine on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from metaqore.kinds import psmp_policy
from metaqore.messages import Submission
from metaqore.psmp.catalogue import MODES, RULES, Severity
from metaqore.psmp.rules import Ruling, ruling_of
from metaqore.settings import load
from tests.contract.pipeline import ORGANIZATION, Pipeline

LONG = "The quick brown fox jumps over the lazy dog, and says so."


class Scene:
    """One project in which conflicts are staged."""

    def __init__(self, pipeline: Pipeline, mode: str) -> None:
        self.pipeline = pipeline
        self.project = pipeline.project(mode, f"{mode} project")

    def ask(self, kind: str, payload: Mapping[str, Any], by: str = "ann") -> str:
        """Submit and decide; return the id of the request."""
        asked = Submission(
            organization=ORGANIZATION, project=self.project, principal=by, kind=kind, payload=dict(payload)
        )
        request = self.pipeline.intake.submit([asked]).ids[0]
        self.pipeline.executor.drain("psmp")
        return request

    def declare(self, name: str, content: Any = 1, base: int | None = None, by: str = "ann", **more: Any) -> str:
        """Declare a document; return the id of the request."""
        payload = {"type": "doc", "name": name, "content": content, "base_version": base, **more}
        return self.ask("artifact.declare", payload, by)

    def move(self, name: str, to: str) -> str:
        """Move an artifact along its lifecycle."""
        return self.ask("artifact.transition", {"artifact": self.id(name), "to": to})

    def id(self, name: str) -> str:
        """Return the id of an artifact."""
        rows = self.pipeline.sql("SELECT id FROM artifacts WHERE project = ? AND name = ?", self.project, name)
        return str(rows[0][0])


def on(name: str, **more: Any) -> list[dict[str, Any]]:
    """Return a dependency on one document."""
    return [{"type": "doc", "name": name, **more}]


def stale(scene: Scene, by: str) -> str:
    scene.declare("x", {"a": 1, "b": 1})
    scene.declare("x", {"a": 2, "b": 1}, 1)
    return scene.declare("x", {"a": 1, "b": 2}, 1, by)


def collision(scene: Scene) -> str:
    scene.declare("x", {"a": 1})
    scene.declare("x", {"a": 2}, 1)
    return scene.declare("x", {"a": 3}, 1)


def ownership(scene: Scene) -> str:
    scene.declare("x", {"a": 1, "b": 1}, owns=["/a"])
    return scene.declare("x", {"a": 2, "b": 1}, 1, "bob")


def circle(scene: Scene) -> str:
    scene.declare("x")
    scene.declare("y", depends_on=on("x"))
    return scene.declare("x", 2, 1, depends_on=on("y"))


def superseded(scene: Scene) -> str:
    scene.declare("y")
    scene.declare("y", 2, 1)
    return scene.declare("x", depends_on=on("y", version=1))


def after_move(to: str) -> Callable[[Scene], str]:
    def stage(scene: Scene) -> str:
        scene.declare("y")
        scene.move("y", to)
        return scene.declare("x", depends_on=on("y"))

    return stage


def out_of_range(scene: Scene) -> str:
    scene.declare("y")
    return scene.declare("x", depends_on=on("y", version=">=2,<4"))


def constraint(scene: Scene) -> str:
    scene.declare("y", requires=[{"name": "requests", "specifier": ">=2.0"}])
    return scene.declare("x", requires=[{"name": "requests", "specifier": "<2.0"}])


def claim(scene: Scene) -> str:
    scene.declare("y", by="bob", claims={"paths": ["src/*.py"]})
    return scene.declare("x", claims={"paths": ["src/main.py"]})


def read_set(scene: Scene) -> str:
    scene.declare("y")
    scene.declare("y", 2, 1, by="bob")
    return scene.declare("x", read_set=[{"type": "doc", "name": "y", "version": 1}])


def duplicate(scene: Scene) -> str:
    scene.declare("y", LONG, by="bob")
    return scene.declare("x", LONG)


def transition(scene: Scene) -> str:
    scene.declare("x")
    scene.move("x", "active")
    return scene.move("x", "proposed")


def dependants(scene: Scene) -> str:
    scene.declare("y")
    scene.declare("x", depends_on=on("y"))
    return scene.ask("artifact.delete", {"artifact": scene.id("y")})


def label(scene: Scene) -> str:
    scene.declare("y", label="SENSITIVE")
    return scene.declare("x", depends_on=on("y"), label="PUBLIC")


def bound(scene: Scene) -> str:
    asked = [
        Submission(organization=ORGANIZATION, project=scene.project, principal=f"agent-{i}", kind="artifact.declare",
                   payload={"type": "doc", "name": f"x{i}", "content": i, "metadata": {"conversation": "c"}})
        for i in range(33)
    ]  # fmt: skip
    requests = scene.pipeline.intake.submit(asked).ids
    scene.pipeline.executor.drain("psmp")
    return requests[-1]


#: Conflict class → how it comes about, the verdict of adaptive, and the classes that come with it.
ROWS: Mapping[str, tuple[Callable[[Scene], str], str, set[str]]] = {
    "version_mismatch": (lambda scene: stale(scene, "ann"), "approved", set()),
    "parallel_creation": (lambda scene: stale(scene, "bob"), "approved", set()),
    "content_conflict": (collision, "blocked", {"version_mismatch"}),
    "field_ownership": (ownership, "blocked", set()),
    "missing_dependency": (lambda scene: scene.declare("x", depends_on=on("gone")), "blocked", set()),
    "circular_dependency": (circle, "blocked", set()),
    "superseded_dependency": (superseded, "approved", set()),
    "deprecated_dependency": (after_move("deprecated"), "approved", set()),
    "blocked_dependency": (after_move("quarantined"), "blocked", set()),
    "unsatisfied_range": (out_of_range, "blocked", set()),
    "constraint_conflict": (constraint, "blocked", set()),
    "claim_collision": (claim, "blocked", set()),
    "read_set_changed": (read_set, "blocked", set()),
    "duplicate_work": (duplicate, "approved", set()),
    "illegal_transition": (transition, "blocked", set()),
    "dependants_remain": (dependants, "blocked", set()),
    "label_lowered": (label, "approved", set()),
    "bound_exceeded": (bound, "blocked", set()),
}
#: Conflicts of what is no declaration: refused, and not kept as a proposal.
NOT_KEPT = {"illegal_transition", "dependants_remain"}


def test_every_class_of_the_catalogue_has_a_row() -> None:
    assert ROWS.keys() == RULES.keys()


def test_the_policy_that_is_shipped_says_what_the_catalogue_says() -> None:
    assert psmp_policy(load({}, environ={})).rules == RULES


@pytest.mark.parametrize("conflict_class", ROWS)
def test_each_mode_makes_of_each_class_what_it_should(pipeline: Pipeline, conflict_class: str) -> None:
    stage, adaptive, others = ROWS[conflict_class]
    for mode, verdict in (("strict", "blocked"), ("adaptive", adaptive), ("playground", "approved")):
        scene = Scene(pipeline, mode)
        request = stage(scene)
        rows = pipeline.sql(
            "SELECT class, state, severity, strategy, mode, rule, evidence, resolution FROM conflicts "
            "WHERE request_id = ?", request,
        )  # fmt: skip
        assert pipeline.row(request)["verdict"] == verdict, (mode, rows)
        assert {row[0] for row in rows} == {conflict_class, *others}, mode
        found = next(row for row in rows if row[0] == conflict_class)
        rule = RULES[conflict_class]
        assert found[2:6] == (rule.severity, rule.strategy, mode, rule.id)
        kept = "recorded" if conflict_class in NOT_KEPT else "open"
        expected = kept if verdict == "blocked" else "resolved" if mode == "adaptive" else "recorded"
        if mode == "adaptive" and rule.adaptive == "record":
            expected = "recorded"
        assert found[1] == expected, mode
        evidence = json.loads(found[6])
        if mode == "playground" and conflict_class not in NOT_KEPT:
            way = "resolved" if rule.adaptive == "resolve" else "let_through"
            otherwise = "blocked" if adaptive == "blocked" else way
            assert evidence["would_have"] == {"strict": "blocked", "adaptive": otherwise}
        assert "pointer" in evidence


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("conflict_class", RULES)
def test_what_a_mode_does_hangs_on_the_rule_and_never_on_its_severity(
    conflict_class: str, mode: str, severity: Severity
) -> None:
    rule = msgspec.structs.replace(RULES[conflict_class], severity=severity)
    by_adaptive = {"resolve": Ruling.RESOLVE, "record": Ruling.ADMIT, "block": Ruling.BLOCK}[rule.adaptive]
    expected = {"strict": Ruling.BLOCK, "adaptive": by_adaptive, "playground": Ruling.ADMIT}[mode]
    assert ruling_of(mode, rule) is expected  # type: ignore[arg-type]
    for own, ruling in (("strict", Ruling.BLOCK), ("adaptive", by_adaptive), ("playground", Ruling.ADMIT)):
        assert ruling_of(mode, msgspec.structs.replace(rule, mode=own)) is ruling  # type: ignore[arg-type]
    assert ruling_of("playground", msgspec.structs.replace(rule, mode="strict"), forced=True) is Ruling.ADMIT
