"""Read scenarios from YAML files, strictly: an unknown key, word, disguise or family stops the reading.

A file may have any of ``families``, ``surfaces``, ``words``, ``hosts``, ``foreign`` and ``scenarios``; all files
together are the suite. To add a scenario is to add it to a file, or a file to a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from metaqore import strict_yaml
from metaqore.attack.generate import SLOT, unknown_words
from metaqore.attack.model import Family, Name, Scenario, Step, Suite
from metaqore.attack.mutations import unknown
from metaqore.errors import SettingsError

T = TypeVar("T")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    families: dict[str, Family] = {}
    surfaces: dict[Name, tuple[Step, ...]] = {}
    words: dict[Name, tuple[str, ...]] = {}
    hosts: dict[Name, tuple[str, ...]] = {}
    foreign: tuple[str, ...] = ()
    scenarios: tuple[Scenario, ...] = ()


def load_suite(folder: Path | None = None) -> Suite:
    """Return the scenarios that are shipped and, where given, those of a folder's ``*.yaml`` files beside them.

    Raises:
        SettingsError: a file cannot be read or is not understood; says which and where.
    """
    parsed = list(_shipped())
    if folder is not None:
        own = sorted(folder.glob("*.yaml"))
        if not own:
            raise SettingsError(f"{folder}: there is no .yaml file in it")
        parsed += [(str(path), _parse(str(path), strict_yaml.read(path))) for path in own]
    return _suite(parsed)


@cache
def _shipped() -> tuple[tuple[str, _File], ...]:
    found = sorted((files("metaqore.attack") / "scenarios").iterdir(), key=lambda entry: entry.name)
    return tuple(
        (each.name, _parse(each.name, each.read_text("utf-8"), strict_yaml.Quick))
        for each in found
        if each.name.endswith(".yaml")
    )


def parse_suite(texts: Iterable[tuple[str, str]]) -> Suite:
    """Return the suite that (source, YAML text) make together. Raises like :func:`load_suite`."""
    return _suite([(source, _parse(source, text)) for source, text in texts])


def _suite(parsed: Sequence[tuple[str, _File]]) -> Suite:
    families: dict[str, Family] = {}
    surfaces: dict[str, tuple[Step, ...]] = {}
    words: dict[str, tuple[str, ...]] = {}
    hosts: dict[str, tuple[str, ...]] = {}
    for source, file in parsed:
        _add(source, "family", families, file.families)
        _add(source, "surface", surfaces, file.surfaces)
        _add(source, "word", words, file.words)
        _add(source, "host", hosts, file.hosts)
    suite = Suite(
        families=families, surfaces=surfaces, words=words, hosts=hosts,
        scenarios=tuple(scenario for _, file in parsed for scenario in file.scenarios),
        foreign=tuple(text for _, file in parsed for text in file.foreign),
    )  # fmt: skip
    _check(suite, {scenario.id: source for source, file in parsed for scenario in file.scenarios})
    return suite


def _add(source: str, what: str, known: dict[str, T], new: dict[str, T]) -> None:
    twice = sorted(set(known) & set(new))
    if twice:
        raise SettingsError(f"{source}: {what} {twice[0]} is there already: choose another name")
    known.update(new)


def _parse(source: str, text: str, loader: Any = strict_yaml.Strict) -> _File:
    return strict_yaml.parse(text, _File, source=source, loader=loader)


def _check(suite: Suite, sources: dict[str, str]) -> None:
    seen = set[str]()
    for scenario in suite.scenarios:
        where = f"{sources[scenario.id]}: scenario {scenario.id}"
        if scenario.id in seen:
            raise SettingsError(f"{where} is there twice: choose another id")
        seen.add(scenario.id)
        for problem in _problems(suite, scenario):
            raise SettingsError(f"{where}: {problem}")


def _problems(suite: Suite, scenario: Scenario) -> list[str]:
    """What types alone cannot say."""
    found = [f"family {name} is not known" for name in suite.families_of(scenario) if name not in suite.families]
    found += [f"mutation {part} is not known" for name in scenario.mutations for part in unknown(name)]
    found += [f"nothing may stand for ${name}" for name in unknown_words(suite, scenario)]
    for name in scenario.hosts:
        if name not in suite.hosts:
            found.append(f"host {name} is not known")
        elif any(not SLOT.search(host) for host in suite.hosts[name]):
            found.append(f"a host {name} has no place for $payload")
    if (scenario.surface is None) == (not scenario.steps):
        found.append("give exactly one of surface and steps")
    elif scenario.surface is not None and scenario.surface not in suite.surfaces:
        found.append(f"surface {scenario.surface} is not known")
    elif not any(step.role == "act" for step in suite.steps_of(scenario, control=False)):
        found.append("no step has the role act")
    if bool(scenario.texts) != bool(scenario.benign) or bool(scenario.texts) == bool(scenario.control):
        found.append("give texts and benign, or control steps")
    return found
