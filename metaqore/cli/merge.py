"""``metaqore merge``: merge two successors of a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from metaqore.errors import InvalidInput
from metaqore.psmp.merge import JsonConflict, Labels, MergeResult, merge_json, merge_text

# git looks no further for the NUL by which it tells binary files.
_LOOK_FOR_NUL = 8000

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("merge")
@click.argument("base", type=_file)
@click.argument("ours", type=_file)
@click.argument("theirs", type=_file)
@click.option("--json", "as_json", is_flag=True, help="The files are JSON documents: merge them by member.")
@click.option("--diff3", is_flag=True, help="Show the base in conflicts too.")
def merge_command(base: Path, ours: Path, theirs: Path, as_json: bool, diff3: bool) -> None:
    """Merge OURS and THEIRS, two successors of BASE, and print the result.

    Text is merged as by "git merge-file -p OURS BASE THEIRS". Conflicts stand between <<<<<<< and >>>>>>>
    lines. Exit code: 0 clean, 1 conflict, 2 the input cannot be used.
    """
    if as_json and diff3:
        raise click.UsageError("--diff3 is for text: leave it out with --json")
    texts = [_read(path) for path in (base, ours, theirs)]
    labels = Labels(ours=str(ours), base=str(base), theirs=str(theirs))
    if as_json:
        documents = [_document(path, text) for path, text in zip((base, ours, theirs), texts, strict=True)]
        clean, merged = _merged_document(documents, labels)
    else:
        result = merge_text(*texts, labels=labels, diff3=diff3)
        clean, merged = result.clean, result.merged
    click.echo(merged.encode("utf-8", "surrogateescape"), nl=False)
    sys.exit(0 if clean else 1)


def _refuse(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(2)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        _refuse(f"{path} cannot be read: {error.strerror}")
    if b"\0" in content[:_LOOK_FOR_NUL]:
        _refuse(f"{path} is a binary file: only text can be merged")
    # Bytes that are not UTF-8 come out as they went in.
    return content.decode("utf-8", "surrogateescape")


def _document(path: Path, text: str) -> Any:
    """Read JSON as RFC 8259 has it, with unique member names."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise ValueError("an object names the same member twice")
        return members

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        _refuse(f"{path} is not a JSON document: {error}")


def _merged_document(documents: list[Any], labels: Labels) -> tuple[bool, str]:
    """Return whether the merge is clean, and its text; with markers where the sides contradict each other."""
    base, ours, theirs = documents
    try:
        result = merge_json(base, ours, theirs)
        if result.clean:
            return True, _written(result.merged)
        _explain(result)
        # The two answers differ in the conflicts alone, so with no base in common each of these gets markers.
        sides = [_written(merge_json(base, ours, theirs, prefer=side).merged) for side in ("ours", "theirs")]
    except InvalidInput as error:
        _refuse(error.message)
    return False, merge_text("", *sides, labels=labels).merged


def _written(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _explain(result: MergeResult[Any, JsonConflict]) -> None:
    for conflict in result.conflicts:
        click.echo(f"conflict ({conflict.type}) at {conflict.pointer or 'the whole document'}", err=True)


command = merge_command
