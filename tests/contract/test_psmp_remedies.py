"""What a blocking report offers was tried: sent unchanged it is admitted, or the world has moved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaqore.messages import Submission, Verdict
from metaqore.psmp import edits
from metaqore.psmp.reports import ReportReads, Reports, Trial
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.contract.test_psmp_modes import declared

AGENTS = ["ann", "bob", "eve"]
NAMES = ["alpha", "beta", "gamma"]
LINES = [f"line {n}\n" for n in range(6)]
#: What can only be done on the head that the report has shown.
ONTO_THE_HEAD = ("rebase", "yield", "replace", "retry", "merge", "escalate", "override", "withdraw")
#: What is offered for every class.
STRATEGIES = ("retry", "merge", "escalate", "override", "withdraw")
KINDS = {"/artifacts": "artifact.declare", "/resolve": "conflict.resolve", "/withdraw": "proposal.withdraw"}


@contextlib.contextmanager
def reading(pipeline: Pipeline) -> Iterator[ReportReads]:
    with pipeline.store.snapshot() as tx:
        yield tx.reads("psmp")


def reports(pipeline: Pipeline) -> Reports:
    # However busy the machine is, a test sees all that is tried.
    return Reports(lambda: reading(pipeline), pipeline.catalogue.__getitem__, pipeline.clock, proposal_s=60, page_s=60)


def report_of(pipeline: Pipeline, proposal: str) -> dict[str, Any]:
    found = reports(pipeline).proposal(ORGANIZATION, proposal)
    assert found is not None
    report = found["blocking_report"]
    assert report is not None
    return dict(report)


def submit(pipeline: Pipeline, *asked: Submission) -> list[tuple[str | None, dict[str, Any]]]:
    """Submit and decide; return (verdict or error code, result or error) of each."""
    ids = pipeline.intake.submit(asked).ids
    pipeline.executor.drain("psmp")
    found = []
    for request in ids:
        row = pipeline.row(request)
        assert row["state"] in ("succeeded", "failed"), row
        error = json.loads(row["error"]) if row["error"] else None
        found.append((error["code"] if error else row["verdict"], error or json.loads(row["result"])))
    return found


def blocked(pipeline: Pipeline, asked: Submission) -> dict[str, Any]:
    """Submit what is blocked, and read its report."""
    verdict, result = submit(pipeline, asked)[0]
    assert verdict == "blocked", result
    return report_of(pipeline, result["blocking_report"]["proposal"])


def request_of(remedy: dict[str, Any], project: str, by: str) -> Submission:
    """Do what the door does with a remedy's request."""
    request = remedy["request"]
    url, body = request["url"], dict(request["body"])
    kind = next(kind for end, kind in KINDS.items() if url.endswith(end))
    match = request["headers"].get("If-Match")
    head = 0 if match is None else int(match.strip('"'))
    assert match is not None or request["headers"]["If-None-Match"] == "*"
    if kind == "artifact.declare":
        assert body.pop("project") == project
        assert (body.get("base_version") or 0) == head
        body["base_version"] = head
    elif kind == "conflict.resolve":
        body |= {"conflict": url.split("/")[-2], "authority": [remedy["needs_scope"]]}
    else:
        body["proposal"] = url.split("/")[-2]
    return Submission(organization=ORGANIZATION, project=project, principal=remedy["principal"] or by, kind=kind,
                      payload={**body, "if_match": head})  # fmt: skip


def offered(report: dict[str, Any]) -> list[str]:
    return [remedy["kind"] for remedy in report["remedies"]]


# --- each kind of remedy --------------------------------------------------------------------------------------------


@pytest.fixture
def project(pipeline: Pipeline) -> str:
    """A strict project: alpha at version 2, beta depends on it."""
    made = pipeline.project("strict")
    changed = "".join(["first\n", *LINES[1:]])
    submit(pipeline, declared(made, "alpha", "".join(LINES)), declared(made, "alpha", changed, 1),
           declared(made, "beta", "beta", depends_on=["alpha"]))  # fmt: skip
    return made


def test_a_stale_change_is_offered_rebased_on_the_head(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "".join([*LINES[:-1], "last\n"]), 1, "bob"))
    assert offered(report) == ["rebase", "merge", "escalate", "override", "withdraw"]
    verdict, result = submit(pipeline, request_of(report["remedies"][0], project, "bob"))[0]
    assert (verdict, result["artifact"]["version"], result["strategy"]) == ("approved", 3, "replace")
    content = pipeline.sql("SELECT content FROM artifact_versions WHERE version = 3")[0][0]
    assert json.loads(content) == "".join(["first\n", *LINES[1:-1], "last\n"])
    assert pipeline.sql("SELECT state FROM proposals") == [("admitted",)]
    assert pipeline.sql("SELECT state, resolution FROM conflicts") == [("resolved", "replace")]


def test_a_change_that_collides_is_not_offered_as_a_merge(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "".join(["mine\n", *LINES[1:]]), 1, "bob"))
    assert offered(report) == ["replace", "escalate", "override", "withdraw"]
    assert "taken back" in report["remedies"][0]["what"]


def test_a_misspelt_dependency_is_offered_under_the_name_that_exists(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "gamma", "g", None, "bob", depends_on=["alpa"]))
    assert offered(report)[:2] == ["rename_dependency", "drop_dependency"]
    assert report["remedies"][0]["request"]["headers"]["If-None-Match"] == "*"
    assert submit(pipeline, request_of(report["remedies"][0], project, "bob"))[0][0] == "approved"
    assert pipeline.sql("SELECT count(*) FROM artifact_edges") == [(2,)]


def test_a_version_that_is_not_there_is_offered_without_one(pipeline: Pipeline, project: str) -> None:
    wanted = {"type": "doc", "name": "alpha", "version": 9}
    report = blocked(pipeline, declared(project, "gamma", "g", None, "bob", depends_on=[wanted]))
    assert "any_version" in offered(report)


def test_the_edge_that_closes_a_cycle_is_offered_to_go(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "x", 2, "bob", depends_on=["beta"]))
    assert offered(report) == ["drop_dependency", "escalate", "override", "withdraw"]
    assert submit(pipeline, request_of(report["remedies"][0], project, "bob"))[0][0] == "approved"


def test_what_is_no_longer_in_the_way_is_offered_as_it_was(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "gamma", "g", None, "bob", depends_on=["delta"]))
    submit(pipeline, declared(project, "delta", "d"))
    report = report_of(pipeline, report["proposal"])
    assert (report["conflicts"], report["minimal_core"]) == ([], [])
    assert offered(report)[:2] == ["repeat", "retry"]
    assert submit(pipeline, request_of(report["remedies"][1], project, "eve"))[0][0] == "approved"


def test_a_conflict_that_no_longer_applies_says_so_and_why(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "gamma", "g", None, "bob", depends_on=["delta", "epsilon"]))
    first, second = (conflict["id"] for conflict in report["conflicts"])
    assert (report["obsolete"], obsolete(pipeline, report)) == ({}, {})

    submit(pipeline, declared(project, "delta", "d"))
    assert list(obsolete(pipeline, report)) == [first]
    assert "not found any more" in obsolete(pipeline, report)[first]
    submit(pipeline, declared(project, "epsilon", "e"))
    now = report_of(pipeline, report["proposal"])
    assert list(now["obsolete"]) == [first, second]
    assert all("retry" in reason for reason in now["obsolete"].values())
    assert pipeline.sql("SELECT DISTINCT state FROM conflicts") == [("open",)]

    retry = next(remedy for remedy in now["remedies"] if remedy["kind"] == "retry")
    assert submit(pipeline, request_of(retry, project, "bob"))[0][0] == "approved"
    assert obsolete(pipeline, report) is None


def test_a_conflict_that_the_mode_would_let_through_now_says_how(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "".join([*LINES[:-1], "last\n"]), 1, "bob"))
    run = pipeline.executor.run_now

    run(pipeline.submission("project.save", None, id=project, mode="adaptive"))
    [reason] = obsolete(pipeline, report).values()
    assert "would not block any more" in reason and "merged" in reason
    run(pipeline.submission("project.save", None, id=project, state="archived"))
    assert obsolete(pipeline, report) is None


def obsolete(pipeline: Pipeline, report: dict[str, Any]) -> Any:
    return reports(pipeline).obsolete(ORGANIZATION, [report["proposal"]]).get(report["proposal"])


def test_the_core_leaves_out_what_the_mode_resolves(pipeline: Pipeline) -> None:
    p = pipeline.project("adaptive")
    submit(pipeline, declared(p, "alpha", "".join(LINES)), declared(p, "alpha", "".join(["1\n", *LINES[1:]]), 1))
    report = blocked(pipeline, declared(p, "alpha", "".join([*LINES[:-1], "6\n"]), 1, "bob", depends_on=["gone"]))
    assert {conflict["class"] for conflict in report["conflicts"]} == {"parallel_creation", "missing_dependency"}
    assert [cause["pointer"] for cause in report["minimal_core"]] == ["/depends_on/0"]
    assert submit(pipeline, request_of(report["remedies"][0], p, "bob"))[0][0] == "approved"


def test_a_repeat_of_a_remedy_has_one_effect(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "".join([*LINES[:-1], "last\n"]), 1, "bob"))
    asked = request_of(report["remedies"][0], project, "bob")
    assert [verdict for verdict, _ in submit(pipeline, asked, asked)] == ["approved", "precondition_failed"]


def test_of_the_remedies_of_one_report_one_is_admitted(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "".join([*LINES[:-1], "last\n"]), 1, "bob"))
    for first in ("withdraw", "merge"):
        asked = [request_of(remedy, project, "bob") for remedy in report["remedies"] if remedy["kind"] != first]
        chosen = next(remedy for remedy in report["remedies"] if remedy["kind"] == first)
        assert submit(pipeline, request_of(chosen, project, "bob"))[0][0] == "approved"
        assert {verdict for verdict, _ in submit(pipeline, *asked)} == {"precondition_failed"}
        report = blocked(pipeline, declared(project, "alpha", "".join([*LINES[:-1], "end\n"]), 1, "bob"))


def test_a_replacement_is_its_author_s_alone(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "alpha", "".join([*LINES[:-1], "last\n"]), 1, "bob"))
    asked = request_of(report["remedies"][0], project, "bob")
    stolen = Submission(organization=ORGANIZATION, project=project, principal="eve", kind=asked.kind,
                        payload=asked.payload)  # fmt: skip
    assert submit(pipeline, stolen)[0][0] == "forbidden"
    assert pipeline.sql("SELECT state FROM proposals") == [("blocked",)]


def test_two_replacements_of_one_proposal_in_one_batch_are_not_both_admitted(pipeline: Pipeline, project: str) -> None:
    report = blocked(pipeline, declared(project, "gamma", "g", None, "bob", depends_on=["gone"]))
    one, two = declared(project, "gamma", "g", None, "bob"), declared(project, "delta", "d", None, "bob")
    asked = [
        Submission(organization=ORGANIZATION, project=project, principal="bob", kind="artifact.declare",
                   payload={**each.payload, "replaces": report["proposal"]}) for each in (one, two)
    ]  # fmt: skip
    assert [verdict for verdict, _ in submit(pipeline, *asked)] == ["approved", "precondition_failed"]
    assert pipeline.sql("SELECT count(*) FROM artifacts WHERE name = 'delta'") == [(0,)]


def test_if_match_is_compared_when_it_is_decided_not_when_it_is_sent(pipeline: Pipeline, project: str) -> None:
    late = declared(project, "alpha", "late", 2)
    late = Submission(organization=ORGANIZATION, project=project, principal="bob", kind=late.kind,
                      payload={**late.payload, "if_match": 2})  # fmt: skip
    answers = submit(pipeline, declared(project, "alpha", "first", 2), late)
    assert [verdict for verdict, _ in answers] == ["approved", "precondition_failed"]
    assert pipeline.sql("SELECT count(*) FROM proposals") == [(0,)]


# --- each class of conflict -----------------------------------------------------------------------------------------

LONG = "def parse(text):\n    return int(text) * 7 + 12345\n"


def one(name: str, content: Any = 1, by: str = "ann", **more: Any) -> tuple[str, dict[str, Any]]:
    return by, {"type": "doc", "name": name, "content": content, **more}


def on(name: str, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "doc", "name": name, **more}]


def wants(*specifiers: str, ecosystem: str = "pypi") -> list[dict[str, Any]]:
    return [{"name": "six", "specifier": each, "ecosystem": ecosystem} for each in specifiers]


#: class → what was declared before, what is blocked, and the remedies beside the strategies.
CLASSES: dict[str, tuple[list[Any], Any, list[str]]] = {
    "content_conflict": (
        [one("x", "a\nb\nc\nd\n"), one("x", "A\nb\nc\nd\n", base_version=1)],
        one("x", "1\nb\nc\nD\n", "bob", base_version=1), ["yield", "replace"],
    ),
    "version_mismatch": ([one("x")], one("x", 2, base_version=7), ["rebase"]),
    "parallel_creation": ([one("x")], one("x", 2, "bob"), ["rename", "replace"]),
    "unsatisfied_range": (
        [one("x")], one("y", depends_on=on("x", version=">=5")),
        ["newest_version", "any_version", "drop_dependency"],
    ),
    "superseded_dependency": (
        [one("x"), one("x", 2, base_version=1)], one("y", depends_on=on("x", version=1)),
        ["newest_version", "any_version", "drop_dependency"],
    ),
    "constraint_conflict": (
        [one("x", requires=wants(">=1,<2"))], one("y", by="bob", requires=wants(">=2")),
        ["narrow", "witness", "drop_requirement"],
    ),
    "claim_collision": (
        [one("x", claims=["src/a.py"])], one("y", by="bob", claims={"paths": ["b", "src/*"], "resources": ["db"]}),
        ["drop_claim"],
    ),
    "read_set_changed": (
        [one("x"), one("x", 2, base_version=1)], one("y", by="bob", read_set=on("x", version=1)), ["reread"],
    ),
    "label_lowered": (
        [one("x", label="CRITICAL")], one("y", by="bob", label="PUBLIC", depends_on=on("x")),
        ["inherit_label", "drop_label"],
    ),
    "duplicate_work": ([one("x", LONG)], one("y", LONG, "bob"), []),
    "field_ownership": (
        [one("x", {"port": 1, "host": "a"}, owns=["/port"])],
        one("x", {"port": 2, "host": "b"}, "bob", base_version=1), ["leave_field", "take_over"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_of_conflict_has_remedies_that_are_admitted(pipeline: Pipeline, name: str) -> None:
    before, late, kinds = CLASSES[name]
    tried = ["merge"] if name == "duplicate_work" else kinds
    for wanted in tried:
        project = pipeline.project("strict")
        submit(pipeline, *(asked_by(project, act) for act in before))
        report = blocked(pipeline, asked_by(project, late))
        assert name in {conflict["class"] for conflict in report["conflicts"]}
        assert [kind for kind in offered(report) if kind not in STRATEGIES] == kinds
        remedy = next(each for each in report["remedies"] if each["kind"] == wanted)
        verdict, result = submit(pipeline, request_of(remedy, project, "eve"))[0]
        assert verdict == "approved", (remedy, result)


def test_what_yields_keeps_the_head_where_both_have_changed_and_the_rest_of_both(pipeline: Pipeline) -> None:
    project = pipeline.project("strict")
    before, late, _ = CLASSES["content_conflict"]
    submit(pipeline, *(asked_by(project, act) for act in before))
    remedy = blocked(pipeline, asked_by(project, late))["remedies"][0]
    assert remedy["request"]["body"]["content"] == "A\nb\nc\nD\n"
    assert "in the 1 place where both changed, version 2 stands" in remedy["what"]


def test_a_rebase_keeps_what_the_head_has_come_to_depend_on(pipeline: Pipeline) -> None:
    project = pipeline.project("strict")
    acts = [one("d"), one("x", {"a": 1, "b": 1}), one("x", {"a": 2, "b": 1}, base_version=1, depends_on=on("d"))]
    submit(pipeline, *(asked_by(project, act) for act in acts))
    report = blocked(pipeline, asked_by(project, one("x", {"a": 1, "b": 2}, "bob", base_version=1)))
    assert submit(pipeline, request_of(report["remedies"][0], project, "bob"))[0][0] == "approved"
    assert pipeline.sql("SELECT count(*) FROM artifact_edges") == [(1,)]


def test_a_content_too_large_to_be_tried_often_is_told_so_in_time(pipeline: Pipeline, project: str) -> None:
    large = "".join(f"{n} {'x' * 60}\n" for n in range(3500))
    submit(pipeline, declared(project, "large", large), declared(project, "large", "0\n" + large, 1))
    report = blocked(pipeline, declared(project, "large", large + "z\n", 1, "bob", depends_on=["gone", "alpa"]))
    assert report["minimal_core"]
    assert report["remedies"] or not report["complete"]


# --- the property, over random worlds -------------------------------------------------------------------------------


@st.composite
def declarations(draw: st.DrawFn) -> dict[str, Any]:
    lines = [*LINES]
    for at in draw(st.sets(st.integers(0, 5), max_size=2)):
        lines[at] = draw(st.sampled_from(["X\n", "Y\n", ""]))
    versions = st.none() | st.integers(0, 4) | st.sampled_from([">=1", ">=3,<4"])
    names = st.sampled_from([*NAMES, "alphb", "nothing"])
    dependency = st.fixed_dictionaries({"type": st.just("doc"), "name": names}, optional={"version": versions})
    read = st.fixed_dictionaries({"type": st.just("doc"), "name": st.sampled_from(NAMES), "version": st.integers(1, 3)})
    requirement = st.fixed_dictionaries(
        {"name": st.sampled_from(["six", "rich"]), "specifier": st.sampled_from([">=2", "<2", ">=1", "==1.5", "<1"])}
    )
    optional = {
        "depends_on": st.lists(dependency, max_size=3), "requires": st.lists(requirement, max_size=2),
        "claims": st.lists(st.sampled_from(["src/a.py", "src/*", "docs/b.md"]), max_size=2, unique=True),
        "read_set": st.lists(read, max_size=2), "label": st.sampled_from(["PUBLIC", "SENSITIVE", "CRITICAL"]),
        "base_version": st.integers(0, 3),
    }  # fmt: skip
    body: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=optional))
    return {"type": "doc", "name": draw(st.sampled_from(NAMES)), "content": "".join(lines), **body}


acts = st.tuples(st.sampled_from(AGENTS), declarations())


def asked_by(project: str, act: tuple[str, dict[str, Any]]) -> Submission:
    return Submission(organization=ORGANIZATION, project=project, principal=act[0], kind="artifact.declare",
                      payload=act[1])  # fmt: skip


def check_core(pipeline: Pipeline, report: dict[str, Any]) -> None:
    """Fail unless it is admitted without the whole core, and blocked with any one of its causes left."""
    with reading(pipeline) as reads:
        proposal = reads.proposal(ORGANIZATION, report["proposal"])
        assert proposal is not None
        trial = Trial(reads, pipeline.catalogue.__getitem__, proposal, pipeline.clock(), float("inf"))
        heads = reads.heads([(proposal.project, proposal.type, proposal.name)], ())
        head = heads[0].head if heads else 0
        content = reads.content(heads[0].id, head) if heads else None

        def verdict(gone: list[str]) -> Verdict | None:
            rest = edits.without(dict(proposal.payload), gone, head, content)
            return trial.decide("artifact.declare", rest, proposal.author).verdict

        core = [cause["pointer"] for cause in report["minimal_core"]]
        assert verdict(core) is Verdict.APPROVED, report
        for left in core:
            assert verdict([pointer for pointer in core if pointer != left]) is Verdict.BLOCKED, (left, report)


def head_of(pipeline: Pipeline, project: str, name: str) -> int:
    rows = pipeline.sql("SELECT head FROM artifacts WHERE project = ? AND name = ?", project, name)
    return int(rows[0][0]) if rows else 0


def test_every_remedy_of_any_report_is_admitted_or_the_world_has_moved(pipeline: Pipeline) -> None:
    """And each core is minimal. Remedies are drawn from all that are offered, the world from all that agents do."""

    @settings(
        max_examples=30 if pipeline.database.is_sqlite else 8,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(st.sampled_from(["strict", "adaptive"]), st.lists(acts, min_size=3, max_size=9), st.lists(acts, max_size=2),
           st.booleans(), st.data())  # fmt: skip
    def check(mode: str, world: list[Any], moves: list[Any], moved: bool, data: st.DataObject) -> None:
        project = pipeline.project(mode)
        stopped = [result["blocking_report"]["proposal"] for verdict, result in
                   submit(pipeline, *(asked_by(project, act) for act in world)) if verdict == "blocked"]  # fmt: skip
        if not stopped:
            return
        report = report_of(pipeline, data.draw(st.sampled_from(stopped)))
        assert report["core_is_minimal"] and report["remedies"]
        check_core(pipeline, report)
        remedy = data.draw(st.sampled_from(report["remedies"]))
        name, head = report["artifact"]["name"], report["head_version"]
        if moved:
            moves = [*moves, ("eve", {"type": "doc", "name": name, "content": "moved", "base_version": head})]
        submit(pipeline, *(asked_by(project, act) for act in moves))

        expected = {"approved", "precondition_failed"} if moves else {"approved"}
        if head_of(pipeline, project, name) > head and remedy["kind"] in ONTO_THE_HEAD:
            expected = {"precondition_failed"}

        verdict, result = submit(pipeline, request_of(remedy, project, "eve"))[0]

        assert verdict in expected, (remedy, result)
        pipeline.check_versions()
        pipeline.check_ranks()

    check()
