"""Files that only their owner may read, made whole or not at all, once for however many processes ask."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def draft_of(path: Path, text: str) -> Path:
    """Write ``text`` (ASCII) to a new file of mode 0600 beside ``path``, durably; return that file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def make_once(path: Path, text: str) -> None:
    """Make ``path`` (mode 0600) with ``text`` where there is none; of several processes at once the first one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = draft_of(path, text)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
