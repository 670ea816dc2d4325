"""The seam for conflict checks: a family finds conflicts of its classes, and may know a way out of them.

A family is a module ``check_<what>.py`` with a ``FAMILY`` in it, and a place in ``checks.FAMILIES``. Its functions are
pure but for the look-ups of the workspace. What a run needs is looked up at once by ``prefetch``, which must cost
nothing where the feature is not used; it is kept in a memory of the family's own (``Workspace.remember``), over which
``admitted`` lays what this run itself does, so that the next declaration of the run sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.messages import Request, Write
from metaqore.psmp.catalogue import Rule
from metaqore.psmp.model import Case, Conflict, Head, Requirement, Studied
from metaqore.psmp.workspace import Workspace


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A way out that was found."""

    #: What became of the conflicts, e.g. ``merged``; it is kept as their resolution.
    how: str
    #: The declaration to admit in place of the one that was sent; None leaves it.
    studied: Studied | None = None
    #: The dependencies that go with it; None leaves them.
    dependencies: list[Head] | None = None
    #: Requirements, and those that take their place in whatever is admitted; each conflict of theirs is announced.
    requires: Mapping[Requirement, Requirement] = {}
    #: Added to the provenance of the version.
    provenance: dict[str, Any] = {}


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One family of checks."""

    #: The rules whose conflicts it finds.
    rules: tuple[Rule, ...]
    #: Traits of which a case must have one for ``find`` and ``admitted`` to be called; see ``traits``.
    when: int
    find: Callable[[Case, Workspace], Iterable[Conflict]]
    #: Once for a run, before its first decision.
    prefetch: Callable[[Sequence[Request], Workspace], None] | None = None
    #: The way out of its conflicts that adaptive may take; None where there is none that is safe. Changes nothing.
    resolve: Callable[[Case, Sequence[Conflict], Workspace], Resolved | None] | None = None
    #: What an admitted version leaves behind: effects to write. ``Head`` is the new one.
    admitted: Callable[[Case, Head, Workspace], Iterable[Write]] | None = None
    #: What a blocked declaration leaves behind, given the id of its proposal.
    blocked: Callable[[Case, str, Workspace], Iterable[Write]] | None = None
