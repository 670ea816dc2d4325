"""Changing one part of a declaration, named by a JSON pointer (RFC 6901). Pure; nothing is changed in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

Payload = dict[str, Any]
Edit = Callable[[Payload], Payload]
#: What content is taken to be where there is no head to take it from.
NOTHING: Any = None


def steps(pointer: str) -> tuple[str, ...]:
    """Return the unescaped steps of a pointer."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def value_at(document: Any, path: Sequence[str]) -> Any:
    """Return what is at ``path``.

    Raises:
        KeyError: there is nothing.
    """
    for step in path:
        if isinstance(document, Mapping) and step in document:
            document = document[step]
        elif isinstance(document, Sequence) and not isinstance(document, str) and step.isdigit():
            if int(step) >= len(document):
                raise KeyError(step)
            document = document[int(step)]
        else:
            raise KeyError(step)
    return document


def put(document: Any, path: Sequence[str], value: Any) -> Any:
    """Return ``document`` with ``value`` at ``path``; what is not there is made, where its parent is."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(document, Mapping):
        return {**document, step: put(document.get(step, {}), rest, value)}
    if isinstance(document, list | tuple) and step.isdigit() and int(step) < len(document):
        index = int(step)
        return [*document[:index], put(document[index], rest, value), *document[index + 1 :]]
    return document


def take_out(document: Any, path: Sequence[str]) -> Any:
    """Return ``document`` without what is at ``path``."""
    step, rest = path[0], path[1:]
    if isinstance(document, Mapping) and step in document:
        if rest:
            return {**document, step: take_out(document[step], rest)}
        return {name: value for name, value in document.items() if name != step}
    if isinstance(document, list | tuple) and step.isdigit() and int(step) < len(document):
        index = int(step)
        middle = [take_out(document[index], rest)] if rest else []
        return [*document[:index], *middle, *document[index + 1 :]]
    return document


def without(payload: Payload, pointers: Iterable[str], head: int, head_content: Any = NOTHING) -> Payload:
    """Return a declaration without the parts that ``pointers`` name.

    Without ``base_version`` it is as if it were made from the head; without content, the head's stays; without its
    name it has one that is free; an entry of a list goes as a whole.
    """
    return apply(payload, [(pointer, partial(_without, pointer, head, head_content)) for pointer in pointers])


def _without(pointer: str, head: int, head_content: Any, payload: Payload) -> Payload:
    path = steps(pointer)
    if path[0] == "base_version":
        return on_head(payload, head)
    if path[0] == "content":
        return {**payload, "content": _as_head(payload["content"], path[1:], head_content)}
    if path[0] == "name":
        return renamed(payload)
    changed: Payload = take_out(payload, entry(path))
    return changed


def original(pointer: str, removed: Iterable[str]) -> str:
    """Return what ``pointer`` into a declaration without ``removed`` was before: entries of lists have moved up."""
    path = list(steps(pointer))
    for at, step in enumerate(path):
        if not step.isdigit() or path[0] == "content":
            continue
        gone = [entry(steps(other)) for other in removed]
        before = sorted(int(other[at]) for other in gone if len(other) == at + 1 and list(other[:at]) == path[:at])
        index = int(step)
        for other in before:
            index += other <= index
        path[at] = str(index)
        break
    return pointer_to(path)


def pointer_to(path: Iterable[str]) -> str:
    """Return a path as a pointer."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def apply(payload: Payload, changes: Iterable[tuple[str, Edit]]) -> Payload:
    """Return a declaration after ``changes``, each of the part that its pointer names."""
    # From the back, so that no index of a list moves before its turn.
    for _, edit in sorted(changes, key=lambda change: _place(change[0]), reverse=True):
        payload = edit(payload)
    return payload


def renamed(payload: Payload) -> Payload:
    """Return a declaration as a new one, under a name next to the one that is taken: ``a-2.py`` for ``a.py``."""
    path = PurePosixPath(payload["name"])
    name = str(path.with_name(f"{path.stem}-2{path.suffix}")) if path.name else f"{payload['name']}-2"
    return on_head({**payload, "name": name}, 0)


def on_head(payload: Payload, head: int) -> Payload:
    """Return a declaration as if it were made from the head; 0 says that there is none."""
    bare = {name: value for name, value in payload.items() if name != "base_version"}
    return {**bare, "base_version": head} if head else bare


def entry(path: Sequence[str]) -> Sequence[str]:
    """Return the path of the whole entry that ``path`` leads into: ``depends_on/2`` for ``depends_on/2/version``."""
    length = next((i + 1 for i, step in enumerate(path) if i > 0 and step.isdigit()), len(path))
    return path[:length]


def _as_head(content: Any, path: Sequence[str], head_content: Any) -> Any:
    """Return the content with what the head has at ``path``; nothing there where the head has nothing."""
    if not path:
        return head_content
    try:
        return put(content, path, value_at(head_content, path))
    except KeyError:
        return take_out(content, path)


def _place(pointer: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(step), "") if step.isdigit() else (-1, step) for step in steps(pointer))
