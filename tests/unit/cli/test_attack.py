"""The harness itself, against an API that is played: what counts as stopped, missed, broken and skipped."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from metaqore.attack.model import Case, Family, Scenario, Step, Suite, Wanted
from metaqore.cli.attack.command import NOT_MADE
from metaqore.cli.attack.drive import Drive, Result, filled
from metaqore.cli.attack.people import Answer, NoAnswer, NoSuchPerson, People
from metaqore.cli.attack.proof import shown
from metaqore.cli.attack.report import report_of
from metaqore.cli.attack.table import show
from metaqore.cli.attack.told import Told
from metaqore.cli.main import main

ACT = Step(role="act", path="/act", body={"text": "$text", "of": "$saved"})
PLANT = Step(role="plant", path="/plant", body="$text", save={"saved": "/made/0/id"})
Reply = Callable[[str, Any], Answer]


class Played(People):
    """Everybody, with an API that answers what it is told to."""

    def __init__(self, reply: Reply, provider: Told | None = None) -> None:
        self.sent: list[tuple[str, Any]] = []
        self._reply = reply
        self.api = self  # type: ignore[assignment]
        super().__init__(self, "key", "", provider)  # type: ignore[arg-type]

    def call(self, method: str, path: str, key: str, body: Any = None, headers: Any = None) -> Answer:
        if path == "/keys":
            return Answer(201, {"secret": "k"})
        self.sent.append((path, body))
        return self._reply(path, body)


def scenario(*steps: Step, **more: Any) -> Scenario:
    return Scenario(id="one", title="One", families=("LLM01",), steps=steps, **more)


def case(of: Scenario, *, control: bool = False) -> Case:
    return Case(
        scenario=of.id, number=0, is_control=control, mutation="plain", plain="do it", text="do it", steps=of.steps,
        variables={"text": "do it", "word": "bafutiko"},
    )  # fmt: skip


def send(reply: Reply, *steps: Step, control: bool = False) -> Result:
    one = scenario(*steps)
    drive = Drive(Played(reply), 1, {"project": "p"})
    [result] = drive.run([(one, case(one, control=control))])
    return result


def vetoed(rules: list[str] | None = None) -> Answer:
    return Answer(403, {"code": "vetoed", "decision": {"rules": rules or []}})


def by_path(**answers: Answer) -> Reply:
    return lambda path, body: answers[path.strip("/")]


MADE = Answer(201, {"made": [{"id": "art_1"}]})


def test_an_attack_that_goes_through_to_the_end_is_missed_and_such_a_control_passes() -> None:
    assert send(by_path(plant=MADE, act=Answer(200, {})), PLANT, ACT).verdict == "missed"
    assert send(by_path(plant=MADE, act=Answer(200, {})), PLANT, ACT, control=True).verdict == "passed"


def test_an_attack_in_an_answer_counts_as_stopped_where_the_caller_does_not_get_it() -> None:
    step = Step(role="act", path="/act", says="$text", hides="$text")
    one = scenario(step)

    def sent(text: str, provider: Told | None) -> Result:
        played = Played(by_path(act=Answer(200, {"result": {"text": text}})), provider)
        [result] = Drive(played, 1, {"project": "p"}).run([(one, case(one))])
        return result

    with Told() as provider:
        assert sent("do it", provider).verdict == "missed"
        assert sent("[REDACTED]", provider).verdict == "blocked"
    assert sent("do it", None).verdict == "skipped"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (vetoed(["threat.jailbreak"]), "vetoed"),
        (Answer(409, {"code": "blocked", "blocking_report": {"conflicts": [{"class": "duplicate_work"}]}}), "blocked"),
        (Answer(401, {"code": "unauthenticated"}), "refused"),
        (Answer(409, {"code": "conflict"}), "refused"),
        (Answer(500, {"code": "internal_error"}), "broken"),
        (Answer(503, {"code": "unavailable"}), "broken"),
    ],
)
def test_what_stopped_an_attack_is_told_apart(answer: Answer, verdict: str) -> None:
    result = send(by_path(plant=MADE, act=answer), PLANT, ACT)
    assert (result.verdict, result.step) == (verdict, 2)
    assert result.stopped is (verdict != "broken")


def test_the_reason_names_rules_and_conflicts() -> None:
    assert send(by_path(plant=MADE, act=vetoed(["threat.jailbreak"])), PLANT, ACT).why == "threat.jailbreak"


def test_an_attack_may_be_stopped_where_it_is_planted_but_a_preparation_must_succeed() -> None:
    assert send(by_path(plant=vetoed()), PLANT, ACT).step == 1
    setup = Step(role="setup", path="/setup")
    assert send(by_path(setup=vetoed()), setup, ACT).verdict == "broken"


def test_what_one_step_saves_the_next_one_sends() -> None:
    played = Played(by_path(plant=MADE, act=Answer(200, {})))
    one = scenario(PLANT, ACT)
    Drive(played, 1, {"project": "p"}).run([(one, case(one))])
    assert played.sent == [("/plant", "do it"), ("/act", {"text": "do it", "of": "art_1"})]


def test_an_answer_without_what_is_to_be_saved_breaks_the_case() -> None:
    assert "nothing at /made/0/id" in send(by_path(plant=Answer(201, {"made": []})), PLANT, ACT).why


def test_of_a_repeated_act_the_last_call_must_be_stopped() -> None:
    turns: list[str] = []

    def budget(path: str, body: Any) -> Answer:
        turns.append(body)
        return Answer(200, {}) if len(turns) < 3 else vetoed()

    assert send(budget, Step(role="act", path="/act", body="$turn", times=3)).verdict == "vetoed"
    assert turns == ["1", "2", "3"]
    assert send(lambda path, body: Answer(200, {}), Step(role="act", path="/act", times=3)).verdict == "missed"


def test_what_takes_effect_in_a_while_is_tried_until_then() -> None:
    calls: list[str] = []

    def late(path: str, body: Any) -> Answer:
        calls.append(path)
        return Answer(200, {}) if len(calls) < 5 else Answer(401, {"code": "unauthenticated"})

    assert send(late, Step(role="act", path="/act", within_s=30)).verdict == "refused"
    assert len(calls) == 5


def test_who_is_not_there_makes_a_case_skipped_and_not_stopped() -> None:
    result = send(by_path(act=Answer(200, {})), Step(role="act", path="/act", by="stranger"))
    assert result.verdict == "skipped"
    assert not result.stopped


def test_a_key_with_too_little_scope_to_prepare_a_case_is_no_finding() -> None:
    forbidden = by_path(setup=Answer(403, {"code": "forbidden"}), act=Answer(403, {"code": "forbidden"}))
    setup = Step(role="setup", path="/setup", by="admin")
    twin = Step(role="act", path="/act", by="admin")

    assert send(forbidden, setup, ACT).verdict == send(forbidden, twin, control=True).verdict == "skipped"
    assert "may not POST /setup" in send(forbidden, setup, ACT).why
    assert send(forbidden, Step(role="act", path="/act")).verdict == "refused"


def test_a_step_may_have_to_be_stopped_for_the_attack_to_go_on() -> None:
    conflict = Answer(409, {"code": "blocked", "blocking_report": {"proposal": "prop_1"}})
    setup = Step(role="setup", path="/setup", ends="blocked", save={"proposal": "/blocking_report/proposal"})
    act = Step(role="act", path="/act", body="$proposal")

    assert send(by_path(setup=conflict, act=Answer(200, {})), setup, act).verdict == "missed"
    assert send(by_path(setup=Answer(200, {}), act=Answer(200, {})), setup, act).verdict == "broken"


def test_without_guards_what_puts_them_up_is_left_out() -> None:
    one = scenario(Step(role="setup", path="/stop", guard=True), Step(role="act", path="/act"))
    played = Played(by_path(act=Answer(200, {})))
    [result] = Drive(played, 1, {"project": "p"}, unguarded=True).run([(one, case(one))])

    assert (result.verdict, [path for path, _ in played.sent]) == ("missed", ["/act"])
    assert [(each.missed, each.ok) for each in shown([result])] == [(1, True)]


@pytest.mark.parametrize(("built_in", "ok"), [("", False), ("nobody may", True)])
def test_what_is_stopped_without_guards_has_to_be_built_in(built_in: str, ok: bool) -> None:
    one = scenario(Step(role="act", path="/act"), built_in=built_in)
    [result] = Drive(Played(by_path(act=vetoed(["x"]))), 1, {"project": "p"}, unguarded=True).run([(one, case(one))])
    [found] = shown([result])

    assert (found.missed, found.ok, found.whys) == (0, ok, ("vetoed: x",))


@pytest.mark.parametrize(("recorded", "verdict"), [("vetoed", "vetoed"), ("approved", "broken"), ("", "broken")])
def test_an_answer_that_is_not_on_record_says_nothing_of_the_engine(recorded: str, verdict: str) -> None:
    answers = {"/act": Answer(403, {"code": "vetoed", "request": "req_1", "decision": {"rules": ["r"]}}),
               "/requests/req_1": Answer(200, {"verdict": recorded or None})}  # fmt: skip
    result = send(lambda path, body: answers[path], Step(role="act", path="/act"))

    assert (result.verdict, result.request, result.recorded) == (verdict, "req_1", recorded)


def test_a_miss_says_what_the_engine_saw_and_how_to_repeat_it() -> None:
    answers = {
        "/act": Answer(200, {"id": "req_1", "result": {"decision": {"id": "dec_1"}}}),
        "/requests/req_1": Answer(200, {"verdict": "approved"}),
        "/decisions/dec_1": Answer(200, {"body": {"label": "PUBLIC", "policy": "mild", "threats": [{"rule": "a.b"}]}}),
    }
    found = send(lambda path, body: answers[path], Step(role="act", path="/act"))
    report = report_of(suite(1, 1), [found], 1, 1.0, again="metaqore attack --seed 1")

    [missed] = report.to_dict()["missed"]
    assert missed["why"] == "approved as PUBLIC by mild; only flagged: a.b"
    assert missed["repeat"] == "metaqore attack --seed 1 --scenario one --case 0"
    assert missed["advice"] == ["stop it"]


def test_a_known_limit_is_shown_and_keeps_no_bound() -> None:
    one = msgspec.structs.replace(scenario(ACT, known_limit="it cannot be seen"), id="limit")
    missed = Result(case(one), one, "missed", 0, 1, "", 1.0)
    report = report_of(suite(1, 1), [missed, *results("vetoed")], 1, 1.0)

    assert report.ok and report.misses == []
    assert [(each.attacks, each.missed, each.why) for each in report.limits] == [(1, 1, "it cannot be seen")]


def test_what_was_not_run_is_told_by_its_reason() -> None:
    other = msgspec.structs.replace(scenario(ACT), id="two")
    found = [Result(case(one), one, "skipped", 0, 0, "no stranger", 1.0) for one in (scenario(ACT), other, other)]
    with io.StringIO() as out:
        show(report_of(suite(1, 1), [*results("vetoed"), *found], 1, 1.0), Console(file=out, width=80))
        text = out.getvalue()

    assert text.count("not run:") == 1
    assert "not run: no stranger\n  3 cases of one, two\n" in text


def test_the_report_reads_in_a_narrow_terminal() -> None:
    found = [*results("vetoed", "missed"), *results("passed", "vetoed", control=True)]
    with io.StringIO() as out:
        show(report_of(suite(1, 0.4), found, 1, 1.0), Console(file=out, width=80, highlight=False))
        text = out.getvalue()

    table = text[: text.index("wanted:")].splitlines()
    assert max(map(len, table)) <= 80
    assert re.search(r"^LLM01 +2 +1 +0 +0 +1 +!50\.0% +2 +!50\.0%", text, re.MULTILINE)
    for line in ("LLM01 x: stop it", "LLM01 x: what is not seen", "repeat  metaqore attack --scenario one --case 0"):
        assert line in text


def test_a_variable_that_nobody_saved_is_an_error() -> None:
    assert filled({"a": ["$x", "${x}-1", "$$x"]}, {"x": 7}) == {"a": [7, "7-1", "$x"]}
    with pytest.raises(NoAnswer, match="nobody"):
        filled("$nobody", {})


def results(*verdicts: str, control: bool = False) -> list[Result]:
    one = scenario(ACT, mode="prompt_leakage")
    return [Result(case(one, control=control), one, v, 0, 1, "", 1.0) for v in verdicts]  # type: ignore[arg-type]


def suite(stopped: float, false_positives: float) -> Suite:
    wanted = Wanted(stopped=stopped, false_positives=false_positives)
    return Suite(
        families={"LLM01": Family(title="x", wanted=wanted, advice="stop it", not_governed="what is not seen"),
                  "prompt_leakage": Family(title="y"),
                  "ASI01": Family(title="z")},
        surfaces={}, words={}, hosts={}, scenarios=(), foreign=(),
    )  # fmt: skip


@pytest.mark.parametrize(("stopped", "false", "ok"), [(0.75, 0.5, True), (0.76, 0.5, False), (0.75, 0.49, False)])
def test_a_family_keeps_its_bounds_or_the_run_fails(stopped: float, false: float, ok: bool) -> None:
    found = results("vetoed", "blocked", "refused", "missed") + results("passed", "vetoed", control=True)
    row = report_of(suite(stopped, false), found, 1, 1.0).rows[0]
    assert (row.stopped, row.false_positives, row.ok) == (0.75, 0.5, ok)


def test_a_report_counts_a_scenario_in_its_mode_too_and_leaves_out_families_without_cases() -> None:
    report = report_of(suite(0, 1), results("vetoed", "missed"), 1, 1.0)
    assert [row.name for row in report.rows] == ["LLM01", "prompt_leakage"]
    assert [miss["scenario"] for miss in report.to_dict()["missed"]] == ["one"]
    assert report.to_dict()["mutations"] == {"plain": {"vetoed": 1, "missed": 1}}


def test_broken_cases_fail_a_run_skipped_ones_do_not_and_nothing_is_no_success() -> None:
    assert not report_of(suite(0, 1), results("vetoed", "broken"), 1, 1.0).rows[0].ok
    assert report_of(suite(1, 1), results("vetoed", "skipped"), 1, 1.0).rows[0].ok
    assert not report_of(suite(0, 1), [], 1, 1.0).ok
    assert not report_of(suite(0, 1), results("skipped", "skipped"), 1, 1.0).ok


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [(("vetoed",), 0), (("vetoed", "missed"), 1), (("vetoed", "skipped"), 3), (("missed", "skipped"), 1),
     (("skipped",), 1)],
)  # fmt: skip
def test_the_exit_code_tells_a_failed_run_from_one_that_is_not_complete(verdicts: tuple[str, ...], code: int) -> None:
    report = report_of(suite(1, 1), results(*verdicts), 1, 1.0)

    assert report.exit_code == code
    assert report.to_dict()["complete"] is ("skipped" not in verdicts)
    assert [each["scenario"] for each in report.to_dict()["not_run"]] == ["one"] * ("skipped" in verdicts)


def test_a_veto_because_a_provider_is_not_there_is_no_success() -> None:
    step = Step(role="act", path="/act", body={"provider": "mock"})
    gone = send(by_path(act=vetoed(["provider.unknown"])), step)
    both = send(by_path(act=vetoed(["provider.unavailable", "threat.jailbreak"])), step)

    assert (gone.verdict, both.verdict) == ("skipped", "vetoed")
    assert "provider mock is not there" in gone.why


def test_a_provider_that_is_not_asked_is_noticed_before_the_attack() -> None:
    def answers(text: str, status: int = 200) -> Reply:
        body = {"result": {"text": text}} if status == 200 else {"code": "vetoed", "decision": {"rules": ["stop"]}}
        return lambda path, sent: Answer(status, body)

    with Told() as provider:
        echo: Reply = lambda path, sent: Answer(200, {"result": {"text": _said(provider, sent["prompt"])}})  # noqa: E731
        assert Played(echo, provider).hears() is None
        assert Played(answers("hello"), provider).hears() == "another provider answers by that name"
        assert Played(answers("", 403), provider).hears() == "stop"


def _said(provider: Told, prompt: str) -> str:
    asked = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": prompt}]})
    answered = provider._answer({}, asked)
    return str(msgspec.json.decode(answered)["choices"][0]["message"]["content"])


def test_a_key_that_can_make_no_keys_is_that_of_an_agent_and_nobody_else_is_there() -> None:
    class Narrow(Played):
        def call(self, method: str, path: str, key: str, body: Any = None, headers: Any = None) -> Answer:
            return Answer(403, {"code": "forbidden"}) if path == "/keys" else Answer(200, {})

    people = Narrow(by_path())
    assert people.key("agent") == people.key("admin")
    with pytest.raises(NoSuchPerson, match="keys:manage"):
        people.key("other")


def test_the_scenarios_can_be_listed_by_family() -> None:
    answer = CliRunner().invoke(main, ["attack", "--list", "--family", "asi10"])
    assert answer.exit_code == 0
    assert "rogue-goes-on" in answer.output
    assert "direct-override" not in answer.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--family", "LLM99"], "LLM99 is not known"),
        (["--disguise", "rot13+base65"], "base65 is not known"),
        (["--unguarded", "--url", "http://127.0.0.1:1", "--key", "k"], "drop --url"),
        (["--url", "http://127.0.0.1:1"], "--url needs --key"),
        (["--url", "http://127.0.0.1:1", "--key", "k", "--listen", "here"], "--listen here: give a port"),
    ],
)
def test_a_wrong_option_is_said(options: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METAQORE_API_KEY", raising=False)
    answer = CliRunner().invoke(main, ["attack", *options])
    assert answer.exit_code == 2
    assert said in answer.output


def test_an_attack_that_could_not_be_made_is_no_finding() -> None:
    answer = CliRunner().invoke(main, ["attack", "--url", "http://127.0.0.1:9", "--key", "k", "--cases", "1"])
    assert answer.exit_code == NOT_MADE
    assert "http://127.0.0.1:9" in answer.output
