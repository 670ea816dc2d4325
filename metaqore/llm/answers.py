"""How a call ends: its answer judged, put into the ledger and given to the caller, or withheld."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.llm.batch import Waiting
from metaqore.llm.effects import RaiseCall, SettleCall
from metaqore.llm.model import Completion, GenerateCommand, Message, ProviderError
from metaqore.llm.ports import Sight
from metaqore.messages import AuditNote, EventNote, Outcome, Verdict, failed

NEVER_CACHED = frozenset({"SENSITIVE", "CRITICAL"})
_INSTRUCTIONS = ("system", "developer")


class Names(Protocol):
    """What the names stand for that were put in place of findings."""

    def restore(self, payload: Any) -> Any:
        """Put the values back."""


class Answered(Protocol):
    """What SecureGateway says about one answer. See ``metaqore.security.answers.Answered``."""

    @property
    def approved(self) -> bool:
        """Whether it may be delivered."""

    @property
    def text(self) -> str:
        """As it may be delivered and kept; "" where it may not."""

    @property
    def label(self) -> str:
        """The join of the call's label and the answer's own."""

    @property
    def no_cache(self) -> bool:
        """It may be in no cache."""

    @property
    def trainable(self) -> bool:
        """Others may learn from it."""

    @property
    def judged(self) -> Any:
        """The decision with its record; None where there was nothing to decide."""


class Exit(Protocol):
    """SecureGateway, as it lets the answer to one call in. See ``metaqore.security.answers.Exit``."""

    def judge(self, text: str, instructions: Sequence[str], said: Sequence[str], now: int) -> Answered:
        """Judge an answer, with what the prompt said."""


class Call(msgspec.Struct, kw_only=True):
    """What ``perform`` needs to know of one call."""

    id: str
    decision: dict[str, Any]
    command: GenerateCommand
    waiting: Waiting
    #: The prompt as the caller sent it.
    messages: Sequence[Message]
    exit: Exit
    #: What was taken out of the prompt; None where nothing was.
    names: Names | None = None
    #: Its answer may be in no cache.
    no_cache: bool = False
    #: What rules that only warn say to the call.
    warnings: Sequence[str] = ()
    #: What specialists say to it, to be compared with the answer.
    sights: Sequence[Sight] = ()


def settled(call: Call, answer: Completion | ProviderError, batch_id: str, shared: dict[str, Any], at: int) -> Outcome:
    """Return the end of a call: what it cost, and its answer as far as it may be delivered."""
    if isinstance(answer, ProviderError):
        return _refused(call, answer, batch_id, at)
    found = call.exit.judge(answer.text, *instructions_and_said(call.messages), at)
    answer = msgspec.structs.replace(answer, text=found.text)
    if found.approved:
        outcome = _delivered(call, answer, found, shared)
        why = None
    else:
        outcome = found.judged.vetoed()
        why = _json({"code": "vetoed", "decision": found.judged.decision_id})
    usage = answer.usage
    ended = SettleCall(
        call.id, "settled", batch_id, _json(answer.to_json()), why, usage.prompt_tokens, usage.completion_tokens,
        usage.cached_tokens, at,
    )  # fmt: skip
    raised = [RaiseCall(call.id, found.label, found.trainable)] if found.judged is not None else []
    outcome.writes = [ended, *raised, *outcome.writes]
    details = {"provider": answer.provider, "model": answer.model, "prompt_tokens": usage.prompt_tokens,
               "completion_tokens": usage.completion_tokens, "label": found.label}  # fmt: skip
    noted = AuditNote(
        tag=Tag.CALL_SETTLED, subject=call.id, outcome="approved" if found.approved else "vetoed", details=details
    )
    outcome.audit = [noted, *outcome.audit]
    return outcome


def _delivered(call: Call, answer: Completion, found: Answered, shared: dict[str, Any]) -> Outcome:
    no_cache = call.no_cache or found.no_cache
    outcome = answered(answer, call.decision["id"], found.label, call.names, no_cache=no_cache)
    outcome.result = {**outcome.result, "batch": shared, **warned(call.warnings)}
    data = {"provider": answer.provider, "model": answer.model}
    outcome.events = [EventNote("llm.completed", call.id, data)]
    if found.judged is not None:
        outcome.result = {**outcome.result, "answer": found.judged.shown}
        outcome.writes, outcome.audit = [found.judged.write], [found.judged.audit]
    return outcome


def warned(warnings: Sequence[str]) -> dict[str, Any]:
    """Return what a caller is told of the rules that only warn; nothing where there is nothing to tell."""
    return {"policy_warnings": list(warnings)} if warnings else {}


def instructions_and_said(messages: Sequence[Message]) -> tuple[list[str], list[str]]:
    """Return what a prompt instructs, and what else it says."""
    instructions = [message.content for message in messages if message.role in _INSTRUCTIONS]
    return instructions, [message.content for message in messages if message.role not in _INSTRUCTIONS]


def _refused(call: Call, error: ProviderError, batch_id: str, at: int) -> Outcome:
    outcome = failed(error.code, error.message, retryable=error.retryable)
    if not error.retryable:
        told = _json({"code": error.code, "message": error.message})
        outcome.writes = [SettleCall(call.id, "failed", batch_id, None, told, 0, 0, 0, at)]
        outcome.audit = [AuditNote(tag=Tag.CALL_REFUSED, subject=call.id, outcome=error.code)]
    return outcome


def answered(completion: Completion, decision: str, label: str, names: Names | None, *, no_cache: bool) -> Outcome:
    """Return the answer as the caller gets it: with the values back in place of the names that were sent."""
    answer = completion.to_json()
    if names is not None:
        answer["text"] = names.restore(answer["text"])
    result = {**answer, "decision": {"id": decision, "label": label}}
    return Outcome(verdict=Verdict.APPROVED, result=result, no_cache=no_cache or label in NEVER_CACHED)


def withheld(call: Call, veto: Outcome, ended: Outcome | None, at: int, *, may_have_run: bool = False) -> Outcome:
    """Return a veto with the end of the call in the ledger.

    Args:
        ended: how the call ended; None where it did not leave.
        may_have_run: no answer came, yet the provider may have done the work.
    """
    if ended is not None and ended.writes:
        return msgspec.structs.replace(veto, writes=[*ended.writes, *veto.writes], audit=[*ended.audit, *veto.audit])
    message = "stopped while it was out" if may_have_run else "stopped before it left"
    error = _json({"code": "stopped", "message": message})
    settle = SettleCall(call.id, "failed", new_id("bat"), None, error, 0, 0, 0, at, may_have_run)
    noted = AuditNote(
        tag=Tag.CALL_REFUSED, subject=call.id, outcome="stopped", details={"left": "yes" if may_have_run else "no"}
    )
    return msgspec.structs.replace(veto, writes=[settle, *veto.writes], audit=[noted, *veto.audit])


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
