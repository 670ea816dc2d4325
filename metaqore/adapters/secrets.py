"""Secrets: from the environment, by the name that a configuration file gives, and from files of our own."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from metaqore.audit.private_file import make_once
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
    make_once(path, new_secret(32) + "\n")
    return path.read_text(encoding="ascii").strip()
