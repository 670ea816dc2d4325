"""The compliance export: a file that is never there half, never readable by others, and never without its entry."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from metaqore.audit.compliance_extract import EXTRACT_FORMS
from metaqore.audit.compliance_lines import Decided, file_name, line_of
from metaqore.audit.tags import Tag
from metaqore.errors import InvalidInput, Unavailable
from metaqore.messages import AuditNote, Outcome, Request, Verdict

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def export(batch: Sequence[Request], reads: Any, now: int) -> list[Outcome]:
    """Record that decisions were handed out; payload ``{"events": how many, "digest": of the file}``.

    What is streamed is recorded twice: before the first line, ``{"through": up to which entry}``, and after the last,
    with ``complete`` false where the reader went away before.

    Raises:
        InvalidInput: the payload is another.
    """
    return [_begun(request) if "through" in request.payload else _done(request) for request in batch]


def _begun(request: Request) -> Outcome:
    through, form = request.payload["through"], _form(request)
    if type(through) is not int or through < 0:
        raise InvalidInput("compliance.export: through is the number of an entry")
    note = AuditNote(tag=Tag.EXPORT_MADE, subject="compliance_audit", outcome="begun",
                     details={"through": through, "format": form})  # fmt: skip
    return Outcome(verdict=Verdict.APPROVED, result={"through": through}, audit=[note])


def _done(request: Request) -> Outcome:
    events, digest = request.payload.get("events"), request.payload.get("digest")
    if type(events) is not int or events < 0 or not isinstance(digest, str) or not _DIGEST.match(digest):
        raise InvalidInput("compliance.export: the payload is {events: a number, digest: sha256:…}")
    outcome = "exported" if request.payload.get("complete", True) else "broken_off"
    note = AuditNote(
        tag=Tag.EXPORT_MADE, subject="compliance_audit", outcome=outcome,
        details={"events": events, "digest": digest, "format": _form(request)},
    )  # fmt: skip
    return Outcome(verdict=Verdict.APPROVED, result={"events": events, "digest": digest}, audit=[note])


def _form(request: Request) -> str:
    form = request.payload.get("format", "jsonl")
    if form not in EXTRACT_FORMS:
        raise InvalidInput(f"compliance.export: format {form!r}: one of {', '.join(EXTRACT_FORMS)}")
    return str(form)


def write_export(
    directory: Path, organization: str, decided: Iterable[Decided], recorded: Callable[[int, str], object]
) -> tuple[Path, int]:
    """Write an organization's file anew, mode 0600, as a whole or not at all; return its path and how many events.

    Args:
        recorded: takes the number of events and the file's digest, and raises where the export may not be made; the
            file appears under its name only after that.

    Raises:
        InvalidInput: the organization's name cannot be part of a file's.
        Unavailable: the directory cannot be written.
    """
    path = directory / file_name(organization)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # In the same directory, so that it can be renamed; mkstemp makes files with mode 0600.
        handle, name = mkstemp(prefix=f".{path.name}.", dir=directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            digest, count = hashlib.sha256(), 0
            for one in decided:
                line = line_of(one)
                count += 1
                digest.update(line)
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        recorded(count, f"sha256:{digest.hexdigest()}")
        os.replace(name, path)
        _sync(directory)
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return path, count


def _unwritable(directory: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{directory} cannot be written ({error.strerror}): choose another --log-dir, or make room")


def _sync(directory: Path) -> None:
    """Make a rename last through a loss of power."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
