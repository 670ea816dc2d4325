"""Queries over the audit log: which entries speak of something.

A query is a mapping of fields to what they must be; all must hold. As it stands in a file::

    tag: [security:key:created, "security:key:r*"]   # one or several; * at the end is any ending
    but: security:key:revoked                        # tags that are left out
    outcome: approved                                # a value, or several of which one must hold
    details.label: {not: [PUBLIC, INTERNAL]}         # none of these; also true where the field is missing
    details.days: {at_least: 183}                    # also at_most
    policy: {present: true}

Fields are ``actor``, ``project``, ``request``, ``outcome``, ``subject``, ``policy``, ``commitment`` and
``details.<name>``. Pure and without dependencies: the stand-alone verifier asks the same questions of what a report
cites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Fields at the top of an entry, and under its ``about``.
TOP_FIELDS = ("actor", "project", "request")
ABOUT_FIELDS = ("outcome", "subject", "policy", "commitment")
DETAIL = "details."
TESTS = ("in", "not", "present", "at_least", "at_most")


@dataclass(frozen=True)
class Condition:
    """What one field must be: ``test`` is one of ``TESTS``, ``values`` what it compares with."""

    field: str
    test: str
    values: tuple[Any, ...]

    def holds(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an entry's fields fulfil it."""
        value = value_of(entry, self.field)
        if self.test == "in":
            return value is not None and value in self.values
        if self.test == "not":
            return value not in self.values
        if self.test == "present":
            return (value is not None) is self.values[0]
        if type(value) is not int:
            return False
        return bool(value >= self.values[0] if self.test == "at_least" else value <= self.values[0])


@dataclass(frozen=True)
class Query:
    """Which entries are meant: by tag, without some tags, under conditions that all hold."""

    tags: tuple[str, ...]
    but: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()

    def wants(self, tag: str) -> bool:
        """Tell whether entries with this tag are looked at."""
        return any(_fits(pattern, tag) for pattern in self.tags) and not any(_fits(p, tag) for p in self.but)

    def holds(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an entry whose tag is wanted fulfils the conditions."""
        return all(condition.holds(entry) for condition in self.where)

    def matches(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an entry is meant."""
        return self.wants(str(entry.get("tag"))) and self.holds(entry)

    def shown(self) -> dict[str, Any]:
        """Return it as JSON; ``query_of`` reads that."""
        found: dict[str, Any] = {"tag": list(self.tags)}
        if self.but:
            found["but"] = list(self.but)
        for condition in self.where:
            found.setdefault(condition.field, {})[condition.test] = list(condition.values)
        return found


def query_of(shown: Mapping[str, Any]) -> Query:
    """Return the query that ``Query.shown`` wrote.

    Raises:
        ValueError: it is none.
    """
    where = []
    for name, tests in shown.items():
        if name in ("tag", "but"):
            continue
        for test, values in tests.items():
            if test not in TESTS or not values or not is_field(name):
                raise ValueError(f"no condition: {name} {test} {values!r}")
            where.append(Condition(name, test, tuple(values)))
    return Query(_texts(shown["tag"]), _texts(shown.get("but", ())), tuple(where))


def is_field(name: str) -> bool:
    """Tell whether a field of that name can be asked for."""
    detail = name.startswith(DETAIL) and name[len(DETAIL) :].isascii() and len(name) > len(DETAIL)
    return name in TOP_FIELDS or name in ABOUT_FIELDS or detail


def value_of(entry: Mapping[str, Any], field: str) -> Any:
    """Return a field of an entry, None where it has none."""
    if field in TOP_FIELDS:
        return entry.get(field)
    about = entry.get("about") or {}
    if field in ABOUT_FIELDS:
        return about.get(field)
    return (about.get("details") or {}).get(field[len(DETAIL) :])


def _fits(pattern: str, tag: str) -> bool:
    return tag.startswith(pattern[:-1]) if pattern.endswith("*") else tag == pattern


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"a list of tags is expected, not {values!r}")
    return tuple(values)
