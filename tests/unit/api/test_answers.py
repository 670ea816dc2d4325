"""What a submitter hears of a verdict that is no approval."""

from __future__ import annotations

from typing import Any

from flask import Flask

from api.answers import Decided, as_problem
from metaqore.messages import State, Verdict

app = Flask(__name__)


def problem(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    with app.test_request_context("/x"):
        return as_problem(Decided("req_1", State.SUCCEEDED, Verdict.BLOCKED, result, None), **options)


def test_what_the_gate_refused_is_told_with_its_result() -> None:
    gate = {
        "passed": False,
        "stages": [{"name": "functional", "passed": False}],
        "reasons": ["functional: 3 of 9 right"],
    }
    told = problem({"pattern": "pat_1", "specialist": {"id": "spec_1"}, "gate": gate})
    assert (told["status"], told["code"], told["detail"]) == (409, "blocked", "functional: 3 of 9 right")
    assert told["result"]["gate"] == gate
    assert "blocking_report" not in told


def test_what_cannot_be_trained_says_why() -> None:
    assert problem({"specialist": None, "reasons": ["12 examples are too few"]})["detail"] == "12 examples are too few"


def test_a_blocked_declaration_is_told_with_its_report_as_it_is_now() -> None:
    stored = {"project": "prj_1", "proposal": "prop_1", "conflicts": [{"message": "stale"}, {"message": "missing"}]}
    then = problem({"blocking_report": stored})
    now = problem(
        {"blocking_report": stored}, present=lambda report: {**report, "summary": "all of it", "remedies": [1]}
    )
    assert (then["detail"], then["blocking_report"]) == ("stale (and 1 more)", stored)
    assert (now["detail"], now["blocking_report"]["remedies"]) == ("all of it", [1])
