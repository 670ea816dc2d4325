"""The joint manifest: what all artifacts of a project require together, now or as of a position.

Now it is read by index, a package at a time. What artifacts required once is in their versions alone, so a manifest of
the past goes through all artifacts that there were: its cost grows with the project.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.psmp import manifest
from metaqore.psmp.manifest import Slot
from metaqore.psmp.model import Requirement
from metaqore.store.bulk import placeholders
from metaqore.store.repositories.psmp_past import state_at
from metaqore.store.views.lookup import Lookup, Page, Row

#: Artifacts that the manifest names for each specifier; how many have it is not counted.
MAX_HOLDERS = 20
#: Specifiers of a package for which it names artifacts.
MAX_NAMED = 100
#: Artifacts of the past that are read at once.
_CHUNK = 500
_SLOT = "r.project = ? AND r.ecosystem = ? AND r.package = ? AND r.environment = ?"
#: Goes from one specifier to the next by index, however many artifacts share one.
_SPECIFIERS = (
    f"WITH RECURSIVE s(specifier) AS (SELECT min(r.specifier) FROM artifact_requirements r WHERE {_SLOT} UNION ALL "
    f"SELECT (SELECT min(r.specifier) FROM artifact_requirements r WHERE {_SLOT} AND r.specifier > s.specifier) "
    "FROM s WHERE s.specifier IS NOT NULL) SELECT specifier FROM s WHERE specifier IS NOT NULL LIMIT ?"
)
#: Specifier → artifacts that have it.
Holders = Mapping[str, Sequence[Row]]


class ManifestViews(Lookup):
    """Look-ups of the joint manifest."""

    def manifest(self, project: str, *, after: str | None, limit: int) -> Page:
        """Return what the heads of a project require together, a package an item, in the order of their names."""
        slots = self._slots(project, after, limit + 1)
        budget = manifest.Budget()
        return _page(
            [_item(slot, specifiers := self._specifiers(slot), self._named(slot, specifiers), budget)
             for slot in slots[:limit]],
            slots, limit,
        )  # fmt: skip

    def manifest_at(
        self, project: str, at: int, *, states: Collection[str], after: str | None, limit: int
    ) -> Page:  # fmt: skip
        """Return what the heads of a project required together at a position.

        Args:
            states: those in which an artifact holds what it requires.
        """
        found: dict[Slot, dict[str, dict[str, Row]]] = {}
        begin, last = _place(after), ""
        while rows := self._required(project, at, states, last):
            for row in rows:
                requires = msgspec.convert(msgspec.json.decode(row["body"])["requires"], list[Requirement])
                for slot, each in zip(manifest.slots(project, requires), requires, strict=True):
                    if _place(_key(slot)) > begin:
                        holders = found.setdefault(slot, {}).setdefault(each.specifier, {})
                        if len(holders) < MAX_HOLDERS or row["id"] in holders:
                            holders[row["id"]] = _holder(row, each.scope)
            last = rows[-1]["id"]
        slots = sorted(found)[: limit + 1]
        budget = manifest.Budget()
        named = {slot: {text: [*each.values()] for text, each in found[slot].items()} for slot in slots[:limit]}
        return _page([_item(slot, sorted(named[slot]), named[slot], budget) for slot in named], slots, limit)

    def _slots(self, project: str, after: str | None, limit: int) -> list[Slot]:
        # One step in the index for each, however many artifacts require it.
        last = _place(after)
        found: list[Slot] = []
        while len(found) < limit:
            row = self.row(
                "SELECT ecosystem, package, environment FROM artifact_requirements WHERE project = ? AND "
                "(ecosystem, package, environment) > (?, ?, ?) ORDER BY ecosystem, package, environment LIMIT 1",
                (project, *last),
            )
            if row is None:
                break
            last = (row["ecosystem"], row["package"], row["environment"])
            found.append(Slot(project, row["ecosystem"], row["package"], row["environment"]))
        return found

    def _specifiers(self, slot: Slot) -> list[str]:
        place = msgspec.structs.astuple(slot)
        return [row["specifier"] for row in self.rows(_SPECIFIERS, (*place, *place, manifest.MAX_SPECIFIERS + 1))]

    def _named(self, slot: Slot, specifiers: Sequence[str]) -> dict[str, list[Row]]:
        sql = (
            "SELECT r.artifact, a.type, a.name, r.scope, r.declared_by FROM artifact_requirements r "
            f"JOIN artifacts a ON a.id = r.artifact WHERE {_SLOT} AND r.specifier = ? ORDER BY r.artifact LIMIT ?"
        )
        place = msgspec.structs.astuple(slot)
        return {each: self.rows(sql, (*place, each, MAX_HOLDERS)) for each in specifiers[:MAX_NAMED]}

    def _required(self, project: str, at: int, states: Collection[str], after: str) -> list[Row]:
        """Return the next artifacts that required something at a position, with what their version kept."""
        within = sorted(states)
        return self.rows(
            "SELECT a.id, a.type, a.name, v.body, v.created_by FROM artifacts a JOIN artifact_versions v "
            "ON v.artifact = a.id AND v.version = (SELECT w.version FROM artifact_versions w WHERE w.artifact = a.id "
            "AND w.position <= ? ORDER BY w.version DESC LIMIT 1) WHERE a.project = ? AND a.id > ? "
            f"AND v.body LIKE ? AND {state_at('a')} IN ({placeholders(len(within)) or 'NULL'}) ORDER BY a.id LIMIT ?",
            [at, project, after, '%"requires":[{%', at, at, *within, _CHUNK],
        )


def _item(slot: Slot, specifiers: Sequence[str], holders: Holders, budget: manifest.Budget) -> dict[str, Any]:
    return {
        "ecosystem": slot.ecosystem, "package": slot.package, "environment": slot.environment,
        **manifest.summary(slot.ecosystem, specifiers, budget),
        "required_by": [
            {"specifier": each, **holder} for each in specifiers[:MAX_NAMED] for holder in holders.get(each, ())
        ],
    }  # fmt: skip


def _holder(row: Row, scope: str) -> dict[str, Any]:
    return {
        "artifact": row["id"], "type": row["type"], "name": row["name"], "scope": scope,
        "declared_by": row["created_by"],
    }  # fmt: skip


def _page(items: Sequence[dict[str, Any]], slots: Sequence[Slot], limit: int) -> Page:
    return Page(items, _key(slots[limit - 1]) if len(slots) > limit else None)


def _key(slot: Slot) -> str:
    return f"{slot.ecosystem}|{slot.package}|{slot.environment}"


def _place(key: str | None) -> tuple[str, ...]:
    return tuple(key.split("|", 2)) if key is not None else ("", "", "")
