"""What makes two prompts the same task: a template's key, or equal masked heads.

A head is the first few tokens of the prompt with what varies masked: numbers, identifiers, addresses, quoted text.
Heads are exact: no embedding and no similarity threshold decides what is one task.
"""

from __future__ import annotations

import re

from metaqore.hmcp.model import Signature, TaskEvent

#: More characters than any head of 32 tokens needs.
_HEAD_CHARS = 2000

_MASKS = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]{1,15}://\S+)"
    r"|(?P<email>\b[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,190})"
    r"|(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)"
    r'|(?P<str>"[^"\n]{0,1000}"|`[^`\n]{0,1000}`)'
    r"|(?P<path>(?<![\w<])(?:~|\.{1,2})?(?:/[\w.@-]{1,255}){2,40}/?)"
    r"|(?P<hex>\b(?=[0-9a-f]*\d)(?=[0-9]*[a-f])[0-9a-f]{7,64}\b)"
    r"|(?P<num>\b\d[\d.,:]*)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"<(?:url|email|uuid|str|path|hex|num)>|\w+(?:['’]\w+)*|[^\w\s]")


def head_tokens(prompt: str, count: int) -> tuple[str, ...]:
    """Return the first ``count`` masked tokens of the prompt; fewer where it is shorter."""
    masked = _MASKS.sub(lambda found: f" <{found.lastgroup}> ", prompt[:_HEAD_CHARS])
    tokens = []
    for found in _TOKEN.finditer(masked):
        tokens.append(found[0])
        if len(tokens) == count:
            break
    return tuple(tokens)


def matches(signature: Signature, event: TaskEvent) -> bool:
    """Return whether the event is of the task."""
    return fits(signature, event.template, event.prompt)


def fits(signature: Signature, template: str | None, prompt: str) -> bool:
    """Return whether a prompt, and the key of the template it was made from if any, is of the task."""
    if signature.kind == "template":
        return template == signature.value
    if template is not None:
        return False
    longest = max(len(head.split(" ")) for head in (signature.value, *signature.without))
    tokens = head_tokens(prompt, longest)
    return _begins(tokens, signature.value) and not any(_begins(tokens, head) for head in signature.without)


def _begins(tokens: tuple[str, ...], head: str) -> bool:
    wanted = tuple(head.split(" "))
    return tokens[: len(wanted)] == wanted
