"""The ways to bring a declaration from an older version onto the present head, the gentlest first. Pure."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from metaqore.psmp import edits
from metaqore.psmp.edits import Payload
from metaqore.psmp.merge import merge_files, merge_json, merge_text
from metaqore.psmp.merge_declared import Collision, merge_declared
from metaqore.psmp.model import Declaration
from metaqore.psmp.resolve import is_files, merge_contents
from metaqore.psmp.scene import Fix, Scene

#: What is merged beside the content.
_MERGED = ("depends_on", "requires", "claims", "metadata")


def on_head(scene: Scene) -> list[Fix]:
    """Return the ways onto the head; none where the declaration was made from it.

    rebase   merged with the head: nothing of either is lost
    yield    merged with the head, whose text stands where both have changed the same place
    rename   under another name, where the two have nothing in common
    replace  as it is: what others have changed since is taken back
    """
    if scene.base == scene.head:
        return []
    if scene.base > scene.head:
        now = f"from version {scene.head}" if scene.head else "as new"
        return [_fix("rebase", f"Declare it {now}: there is no version {scene.base}.", scene)]
    if not scene.base:
        return _onto_an_unknown_head(scene)
    merged = merge_contents(scene.base_content, scene.head_content, scene.payload["content"])
    if merged.clean and _declared(scene, scene.payload) is not None:
        what = f"Declare this merged with {_version(scene)}: no change of either is lost."
        return [_fix("rebase", what, scene, merged.content)]
    return [*_yielding(scene, merged.hunks), _replace(scene, f"what changed since version {scene.base}")]


def _onto_an_unknown_head(scene: Scene) -> list[Fix]:
    if scene.head_content == scene.payload["content"]:
        return [_fix("rebase", f"Declare it from {_version(scene)}, which has the same content.", scene)]
    return [rename(scene), _replace(scene, f"the content of version {scene.head}")]


def rename(scene: Scene) -> Fix:
    """Return the way to keep both: under a name next to the one that is taken."""
    what = f"Declare it as {scene.payload['type']}/{edits.renamed(scene.payload)['name']}: both are kept."
    return Fix("rename", what, edits.renamed)


def _yielding(scene: Scene, hunks: Any) -> list[Fix]:
    base, head, mine = scene.base_content, scene.head_content, scene.payload["content"]
    if (
        any(hunk.get("type") in ("too_large", "too_different") for hunk in hunks)
        or _declared(scene, scene.payload) is None
    ):
        return []
    content: Any
    if isinstance(base, str) and isinstance(head, str) and isinstance(mine, str):
        content = merge_text(base, head, mine, prefer="ours").merged
    elif is_files(base) and is_files(head) and is_files(mine):
        content = {"files": merge_files(base["files"], head["files"], mine["files"], prefer="ours").merged}
    else:
        content = merge_json(base, head, mine, prefer="ours").merged
    if content == head:
        return []
    places = f"{len(hunks)} place{'s' if len(hunks) != 1 else ''}"
    what = (
        f"Declare this merged with {_version(scene)}; in the {places} where both changed, version {scene.head} stands."
    )
    return [_fix("yield", what, scene, content)]


def _replace(scene: Scene, lost: str) -> Fix:
    what = f"Declare this content over {_version(scene)}, as it is: {lost} is taken back. Read it first."
    return Fix("replace", what, partial(_put_on, scene.head))


def _fix(kind: str, what: str, scene: Scene, content: Any = ...) -> Fix:
    return Fix(kind, what, partial(_merged_with, scene, content))


def _merged_with(scene: Scene, content: Any, payload: Payload) -> Payload:
    """Return the declaration with the content, on the head, with what the head has changed beside its content."""
    changed = payload if content is ... else {**payload, "content": content}
    return edits.on_head({**changed, **(_declared(scene, payload) or {})}, scene.head)


def _put_on(head: int, payload: Payload) -> Payload:
    return edits.on_head(payload, head)


def _declared(scene: Scene, payload: Payload) -> Payload | None:
    """Return what of a declaration the head has changed beside its content; None where both changed one entry."""
    if not 0 < scene.base < scene.head:
        return {}
    mine = msgspec.convert({**payload, "content": None}, Declaration)
    try:
        merged = merge_declared(scene.base_body, scene.head_body, mine)
    except Collision:
        return None
    return {
        name: _plain(getattr(merged, name)) for name in _MERGED if getattr(merged, name) != getattr(mine, name)
    }  # fmt: skip


def _plain(value: Any) -> Any:
    """Return a part of a declaration as it is sent: without what is not given."""
    built = msgspec.to_builtins(value)
    if isinstance(built, list | tuple):
        return [{k: v for k, v in each.items() if v is not None} if isinstance(each, dict) else each for each in built]
    return built


def _version(scene: Scene) -> str:
    return f"version {scene.head} by {', '.join(scene.moved_by)}" if scene.moved_by else f"version {scene.head}"
