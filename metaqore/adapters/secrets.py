"""Secrets: from the environment, by the name that a configuration file gives, and from files of our own."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from metaqore.ids import new_secret


def from_environment(name: str) -> str | None:
    """Return the secret in the environment variable ``name``; None where it is not set or empty."""
    return os.environ.get(name) or None


def from_file(path: Path) -> str:
    """Return the secret in ``path``; make it (256 random bits as hexadecimal text, mode 0600) where there is none.

    Processes that ask at the same moment get the same one: a draft becomes the file only where there is none yet.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{new_secret(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(new_secret(32) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
