"""What a rule may look at: the facts of one request, flat and typed.

Every fact is always there, so no condition can fail for want of one; what does not apply is ``""``, ``0`` or ``[]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from metaqore.security.finding_types import FINDING_TYPES
from metaqore.security.model import Assessment, Label, Position

Facts = dict[str, Any]

TEXT, NUMBER, TRUTH, TEXTS = "text", "number", "truth", "list of texts"


class Fact(NamedTuple):
    """The type of a fact, and all values that it can have where these are few; a rule that asks for another is wrong.

    ``late`` facts are known for each provider only, ``early`` ones of every kind of request and before its content
    is looked at.
    """

    type: str
    about: str
    values: frozenset[str] | None = None
    late: bool = False
    early: bool = False


THREATS = frozenset(
    "active_content artifact_poisoning data_exfiltration jailbreak prompt_extraction prompt_injection prompt_leakage "
    "tool_abuse".split()
)
VOCABULARY: Mapping[str, Fact] = {
    "request.kind": Fact(TEXT, "what is asked for, e.g. llm.generate", early=True),
    "request.principal": Fact(TEXT, "who asks", early=True),
    "request.project": Fact(TEXT, 'in which project; "" for none', early=True),
    "request.organization": Fact(TEXT, "of which organization", early=True),
    "label": Fact(TEXT, "sensitivity of the payload", frozenset(Label.__members__)),
    "level": Fact(NUMBER, "the same as a number, 0 PUBLIC to 3 CRITICAL"),
    "task_type": Fact(TEXT, "as declared"),
    "agent": Fact(TEXT, "as declared"),
    "position": Fact(TEXT, "where the text comes from", frozenset(p.value for p in Position)),
    "findings": Fact(TEXTS, "types of what was found, each once", FINDING_TYPES),
    "threats": Fact(TEXTS, "families of attacks that were found, each once", THREATS),
    "payload.size": Fact(NUMBER, "characters"),
    "requested.provider": Fact(TEXT, 'the provider that is asked for; "" leaves the choice'),
    "requested.model": Fact(TEXT, 'the model that is asked for; "" leaves the choice'),
    "requested.max_tokens": Fact(NUMBER, "the longest answer that is asked for; 0 where it is no model call"),
    "provider.name": Fact(TEXT, "the provider that would get it", late=True),
    "provider.class": Fact(TEXT, "local or cloud", frozenset({"local", "cloud"}), late=True),
    "provider.region": Fact(TEXT, "where it runs", late=True),
}
#: A list fact has no more items than this; the cost of a macro is counted with it.
MAX_ITEMS = 64

#: Stands for what is asked for where that cannot be the name of a provider or a model: it may be anything, and facts
#: are stored, exported and cached.
NO_NAME = "?"
_NAME = re.compile(r"[\w.:/@+-]{0,128}", re.ASCII)

_EMPTY: Mapping[str, Any] = {TEXT: "", NUMBER: 0, TEXTS: ()}
NOTHING: Facts = {name: _EMPTY[fact.type] for name, fact in VOCABULARY.items()}


def as_name(text: str) -> str:
    """Return the name of a provider or a model as it may be stored."""
    return text if _NAME.fullmatch(text) else NO_NAME


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what, besides the payload itself."""

    kind: str = ""
    principal: str = ""
    project: str = ""
    organization: str = ""
    task_type: str = ""
    agent: str = ""
    position: str = Position.USER.value
    provider: str = ""
    model: str = ""
    max_tokens: int = 0


def facts_of(asked: Asked, assessment: Assessment, label: Label) -> Facts:
    """Return the facts of a request whose payload was assessed; ``label`` is the one in force."""
    findings, threats = assessment.findings, assessment.threats
    return {
        "request.kind": asked.kind,
        "request.principal": asked.principal,
        "request.project": asked.project,
        "request.organization": asked.organization,
        "label": label.name,
        "level": int(label),
        "task_type": asked.task_type,
        "agent": asked.agent,
        "position": asked.position,
        "findings": tuple(dict.fromkeys([f.type for f in findings]))[:MAX_ITEMS] if findings else (),
        "threats": tuple(dict.fromkeys([t.family for t in threats]))[:MAX_ITEMS] if threats else (),
        "payload.size": assessment.size,
        "requested.provider": asked.provider,
        "requested.model": asked.model,
        "requested.max_tokens": asked.max_tokens,
        "provider.name": "",
        "provider.class": "",
        "provider.region": "",
    }


def early_facts(asked: Asked) -> Facts:
    """Return the facts that are known of a request of any kind before its payload is looked at."""
    return {
        **NOTHING,
        "request.kind": asked.kind,
        "request.principal": asked.principal,
        "request.project": asked.project,
        "request.organization": asked.organization,
    }
