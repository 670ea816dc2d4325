"""Secrets of the outside world, read from the environment by the name that a configuration file gives."""

from __future__ import annotations

import os


def from_environment(name: str) -> str | None:
    """Return the secret in the environment variable ``name``; None where it is not set or empty."""
    return os.environ.get(name) or None
