"""Which projects exist: asked once for each. A project is archived, never deleted or moved, so a yes stays true."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from metaqore.errors import NotFound

_MAX = 100_000


class KnownProjects:
    """Remembers the projects that exist; what does not exist is asked for again each time.

    Args:
        existing: (organization, ids) → those that exist there.
    """

    def __init__(self, existing: Callable[[str, Sequence[str]], set[str]]) -> None:
        self._existing = existing
        self._known: set[tuple[str, str]] = set()

    def missing(self, organization: str, projects: Collection[str]) -> set[str]:
        """Return those of ``projects`` that the organization does not have."""
        unknown = [project for project in projects if (organization, project) not in self._known]
        if not unknown:
            return set()
        found = self._existing(organization, unknown)
        if len(self._known) > _MAX:
            self._known.clear()
        self._known.update((organization, project) for project in found)
        return set(unknown) - found

    def check(self, organization: str, project: str) -> None:
        """Refuse a project that the organization does not have.

        Raises:
            NotFound: there is no such project.
        """
        if (organization, project) not in self._known and self.missing(organization, [project]):
            raise NotFound(f"project {project} does not exist")
