"""The policy file as it is now: read again when it changes; a file that cannot be used changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from metaqore.clock import now_ms
from metaqore.errors import SettingsError
from metaqore.per_process import thread
from metaqore.security.policy_file import Policies, load_policies
from metaqore.security.policy_files import Seen

log = structlog.get_logger(__name__)

#: Seconds between two looks at the file.
LOOK_EVERY_S = 0.5
_UNUSABLE = "the changed policy file cannot be used and the one before holds; the log of this process says why"
_UNRECORDED = "the changed policy file is not in the audit log yet and the one before holds; it is tried again"

#: Nanoseconds of the last change of content, bytes, inode, nanoseconds of the last change of anything.
Stamp = tuple[int, int, int, int] | None


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
        self._held_since = self._stamp
        self._loaded_at = now_ms()
        self._refused: str | None = None
        #: A refusal that is to be recorded, unless the file is being written just now.
        self._unsaid: Seen | None = None
        self._looking = threading.Lock()
        self._watch = thread("policy", self._run)
        #: Told of every change before it holds, so that no decision names policies of which the log knows nothing.
        #: Where it raises, what was there before holds, and the change is tried again at the next look.
        self.record: Callable[[Seen], object] = lambda seen: None

    def current(self) -> Policies:
        """Return the policies in force."""
        self._watch()
        return self._current

    def seen(self) -> Seen:
        """Return which file holds."""
        return Seen(file=self._path.name, digest=self._current.digest, stamp=_text(self._held_since))

    def report(self) -> dict[str, Any]:
        """Return ``digest`` and ``age_s`` of what is in force and, where the file was changed to a bad one, ``why``."""
        found = {
            "ok": self._refused is None,
            "digest": self.current().digest,
            "age_s": max(0, now_ms() - self._loaded_at) // 1000,
        }
        if self._refused is not None:
            found["why"] = self._refused
        return found

    def look(self) -> bool:
        """Read the file again where it has changed; return whether other policies hold now."""
        with self._looking:
            stamp = self._look()
            if stamp == self._stamp:
                self._say()
                return False
            try:
                fresh = self._read()
            except SettingsError as error:
                self._refuse(stamp, error.message)
                return False
            return self._take(stamp, fresh)

    def _refuse(self, stamp: Stamp, reason: str) -> None:
        # A bad file is named once, not at every look.
        self._stamp, self._refused = stamp, _UNUSABLE
        log.error("policy_refused", reason=reason, kept=self._current.digest)
        self._unsaid = Seen(file=self._path.name, digest=self._bytes(), before=self._current.digest,
                            stamp=_text(stamp), refused=True)  # fmt: skip

    def _take(self, stamp: Stamp, fresh: Policies) -> bool:
        before, self._unsaid = self._current.digest, None
        if fresh.digest != before:
            try:
                self.record(Seen(file=self._path.name, digest=fresh.digest, before=before, stamp=_text(stamp)))
            except Exception as error:
                if self._refused != _UNRECORDED:
                    log.error("policy_not_recorded", digest=fresh.digest, kept=before, reason=str(error))
                self._refused = _UNRECORDED
                return False
        self._stamp = self._held_since = stamp
        self._current, self._loaded_at, self._refused = fresh, now_ms(), None
        log.info("policy_loaded", digest=fresh.digest, before=before)
        return fresh.digest != before

    def _say(self) -> None:
        """Record a refusal of a file that has not changed since: an editor may just have been half through it."""
        if self._unsaid is not None:
            try:
                self.record(self._unsaid)
            except Exception as error:
                log.warning("policy_refusal_not_recorded", reason=str(error))
                return
            self._unsaid = None

    def _read(self) -> Policies:
        policies = load_policies(self._path)
        self._accept(policies)
        return policies

    def _bytes(self) -> str:
        """Return the digest of the file as it is; "" where it cannot be read."""
        try:
            return f"sha256:{sha256(self._path.read_bytes()).hexdigest()}"
        except OSError:
            return ""

    def _look(self) -> Stamp:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:
                log.exception("policy_not_looked_at")


def _text(stamp: Stamp) -> str:
    """Return when anything about a file was last changed: unlike the time of its content, nobody can set that."""
    return "" if stamp is None else str(stamp[3])
