"""Look-ups of aliases."""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.store.repositories.psmp_past import FOREVER
from metaqore.store.views.lookup import Lookup, Row


class AliasViews(Lookup):
    """Look-ups of the names that versions have."""

    def aliases(self, organization: str, artifact: str, *, at: int | None = None) -> Sequence[Row]:
        """Return the aliases that were set: alias, version, set_by, set_at.

        Args:
            at: a position in the project's history; now, where not given.
        """
        return self.rows(
            "SELECT m.alias, m.version, m.set_by, m.set_at FROM artifact_aliases m JOIN artifacts a "
            "ON a.id = m.artifact WHERE m.artifact = ? AND a.organization = ? AND m.version IS NOT NULL AND "
            "m.position = (SELECT max(l.position) FROM artifact_aliases l WHERE l.artifact = m.artifact "
            "AND l.alias = m.alias AND l.position <= ?) ORDER BY m.alias",
            (artifact, organization, FOREVER if at is None else at),
        )
