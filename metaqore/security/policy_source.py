"""The policy file as it is now: read again when it changes; a file that cannot be used changes nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from metaqore.clock import now_ms
from metaqore.errors import SettingsError
from metaqore.security.policy_file import Policies, load_policies

log = structlog.get_logger(__name__)

#: Seconds between two looks at the file.
LOOK_EVERY_S = 0.5

Stamp = tuple[int, int, int] | None


class PolicySource:
    """The policies in force in this process. Reading them never waits for a file.

    Args:
        path: of the policy file.
        accept: refuses policies that this installation cannot work with, e.g. without the one that it is set to.

    Raises:
        SettingsError: the file cannot be used at all: nothing is decided without a policy.
    """

    def __init__(self, path: Path, accept: Callable[[Policies], object] = lambda policies: None) -> None:
        self._path = path
        self._accept = accept
        self._stamp = self._look()
        self._current = self._read()
        self._loaded_at = now_ms()
        self._refused: str | None = None
        self._guard = threading.Lock()
        self._pid = 0

    def current(self) -> Policies:
        """Return the policies in force."""
        if self._pid != os.getpid():
            self._watch()
        return self._current

    def report(self) -> dict[str, Any]:
        """Return ``digest`` and ``age_s`` of what is in force and, where the file was changed to a bad one, ``why``."""
        found = {
            "ok": self._refused is None,
            "digest": self.current().digest,
            "age_s": max(0, now_ms() - self._loaded_at) // 1000,
        }
        if self._refused is not None:
            found["why"] = (
                "the changed policy file cannot be used and the one before holds; the log of this process says why"
            )
        return found

    def look(self) -> bool:
        """Read the file again where it has changed; return whether other policies hold now."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        # A bad file is named once, not at every look.
        self._stamp = stamp
        try:
            fresh = self._read()
        except SettingsError as error:
            self._refused = error.message
            log.error("policy_refused", reason=error.message, kept=self._current.digest)
            return False
        before, self._current = self._current.digest, fresh
        self._loaded_at, self._refused = now_ms(), None
        log.info("policy_loaded", digest=fresh.digest, before=before)
        return fresh.digest != before

    def _read(self) -> Policies:
        policies = load_policies(self._path)
        self._accept(policies)
        return policies

    def _look(self) -> Stamp:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _watch(self) -> None:
        with self._guard:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="policy", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:
                log.exception("policy_not_looked_at")
