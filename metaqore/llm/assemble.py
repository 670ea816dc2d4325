"""From a command to the messages that are sent, and the part of them that is the same from call to call.

A provider's prompt cache holds prefixes, so what matters is how far two prompts agree from their first character.
The *static prefix* is, by kind of command:

* template: everything before its first slot;
* messages: the leading system and developer messages, where there are any;
* otherwise (nothing is declared static): the first ``HEAD_CHARS`` characters, if the prompt is longer than that.

Equal prefix hashes mean equal prefixes, character for character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from metaqore.canonical import canonical_json, content_hash
from metaqore.errors import InvalidInput
from metaqore.llm.model import GenerateCommand, Message, Role, Template
from metaqore.llm.rules import estimate_messages

#: About 256 tokens, the head by which large providers route to a warm cache.
HEAD_CHARS = 1024

#: An artifact's id as it may stand in a prompt, and how many of them are looked up.
_ARTIFACT = re.compile(r"\bart_[0-9A-Za-z-]{20,40}\b")
MAX_NAMED = 200

_SLOT = re.compile(r"(\\?)\{\{([ \t]*[A-Za-z_][A-Za-z0-9_]{0,63}[ \t]*)\}\}")


class Assembled(msgspec.Struct, frozen=True):
    """A prompt, ready to send."""

    messages: tuple[Message, ...]
    #: The leading part that calls of the same making share; the last of it may be a part of a message.
    prefix: tuple[Message, ...]
    #: SHA-256 of ``prefix`` as canonical JSON; "" where there is no static prefix.
    prefix_hash: str
    prefix_tokens: int
    #: The rest of the text, after the prefix.
    suffix: str
    #: Estimated, without the answer.
    prompt_tokens: int
    #: ``Template.key``, or None where the caller made the prompt.
    template_key: str | None

    @property
    def text(self) -> str:
        """The whole prompt as one text: a lone message as it is, several as ``role: content`` lines."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{message.role}: {message.content}" for message in self.messages)


def assemble(command: GenerateCommand) -> Assembled:
    """Return the messages of ``command`` and their static prefix.

    Raises:
        InvalidInput: a slot without a variable, or a variable without a slot; with ``errors`` as JSON pointers.
    """
    if command.template is not None:
        messages, prefix = _from_template(command.template, command)
    elif command.messages is not None:
        messages = command.messages
        prefix = _leading_instructions(messages) or _head(messages)
    else:
        messages = (Message("user", command.prompt or ""),)
        prefix = _head(messages)
    return Assembled(
        messages=messages,
        prefix=prefix,
        prefix_hash=content_hash([[m.role, m.content] for m in prefix]) if prefix else "",
        prefix_tokens=estimate_messages(prefix),
        suffix=_suffix(messages, prefix),
        prompt_tokens=estimate_messages(messages),
        template_key=command.template.key if command.template else None,
    )


def slots(text: str) -> list[str]:
    """Return the names of the slots in ``text``, in order, each once."""
    return list(dict.fromkeys(found[2].strip() for found in _SLOT.finditer(text) if not found[1]))


def made_from(command: GenerateCommand, assembled: Assembled) -> list[str]:
    """Return the artifacts that a prompt was made from: those it declares, and those it names."""
    return list(dict.fromkeys([*command.inputs, *_ARTIFACT.findall(assembled.text)[:MAX_NAMED]]))


def tokens_with_answer(command: GenerateCommand, assembled: Assembled) -> int:
    """Return what a call may cost at most, in estimated tokens: the prompt and the longest answer."""
    return assembled.prompt_tokens + command.max_tokens


def _from_template(template: Template, command: GenerateCommand) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    parts: list[tuple[Role, str]] = [("user", template.text)]
    if template.system is not None:
        parts.insert(0, ("system", template.system))
    values = _values(command, {name for _, text in parts for name in slots(text)})
    messages = tuple(Message(role, _fill(text, values)) for role, text in parts)
    prefix: list[Message] = []
    for (role, text), message in zip(parts, messages, strict=True):
        first = next((found for found in _SLOT.finditer(text) if not found[1]), None)
        if first is None:
            prefix.append(message)
            continue
        static = _fill(text[: first.start()], {})
        if static:
            prefix.append(Message(role, static))
        break
    return messages, tuple(prefix)


def _values(command: GenerateCommand, wanted: set[str]) -> dict[str, str]:
    errors = [
        {"pointer": f"/variables/{name}", "detail": f"the template has a slot {{{{{name}}}}}: give its value"}
        for name in sorted(wanted - command.variables.keys())
    ]
    errors += [
        {"pointer": f"/variables/{name}", "detail": f"the template has no slot {{{{{name}}}}}: leave it out"}
        for name in sorted(command.variables.keys() - wanted)
    ]
    if errors:
        listed = "; ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
        raise InvalidInput(f"llm.generate: variables and template do not fit: {listed}", errors=errors)
    return {
        name: value if isinstance(value, str) else canonical_json(value).decode()
        for name, value in command.variables.items()
    }


def _fill(text: str, values: dict[str, str]) -> str:
    """Put the values in, once: a value that looks like a slot stays text."""
    return _SLOT.sub(lambda found: found[0][1:] if found[1] else values[found[2].strip()], text)


def _leading_instructions(messages: Sequence[Message]) -> tuple[Message, ...]:
    leading: list[Message] = []
    for message in messages:
        if message.role not in ("system", "developer"):
            break
        leading.append(message)
    return tuple(leading)


def _head(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The first HEAD_CHARS characters, or nothing where there are not more than that."""
    if sum(len(message.content) for message in messages) <= HEAD_CHARS:
        return ()
    head: list[Message] = []
    left = HEAD_CHARS
    for message in messages:
        head.append(Message(message.role, message.content[:left]))
        left -= len(message.content)
        if left <= 0:
            break
    return tuple(head)


def _suffix(messages: Sequence[Message], prefix: Sequence[Message]) -> str:
    if not prefix:
        return "\n".join(message.content for message in messages)
    whole = len(prefix) - 1
    rest = [messages[whole].content[len(prefix[-1].content) :]]
    rest += [message.content for message in messages[whole + 1 :]]
    return "\n".join(part for part in rest if part)
