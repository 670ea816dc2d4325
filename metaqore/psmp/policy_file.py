"""Reads PSMP's policy file, strictly: whatever is unknown, missing or leads nowhere is refused with line and key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import msgspec

from metaqore.errors import SettingsError
from metaqore.places import Place, place_of
from metaqore.psmp.catalogue import MODES, RESOLVABLE, RULES, Adaptive, Rule, Severity, Strategy
from metaqore.psmp.policy import (
    GATES,
    ROLES,
    SUBJECTS,
    AsDependency,
    Bounds,
    Lifecycle,
    LifeState,
    Move,
    Policy,
    Subject,
    sealed,
)

#: What a state of each subject may say beside ``final``.
_FLAGS: Mapping[Subject, tuple[str, ...]] = {
    "artifact": ("as_dependency", "tombstone"),
    "task": ("done",),
    "project": ("closed",),
}


def load_policy(source: Path | str, *, scopes: Collection[str]) -> Policy:
    """Return the policy of a file, or of its text.

    Args:
        source: the path of the file, or (``str``) the text itself.
        scopes: the scopes that an API key can have; ``who`` may name them.

    Raises:
        SettingsError: the file cannot be read or used; says file, line, key, what stands there and what is allowed.
    """
    name = str(source) if isinstance(source, Path) else "policy"
    try:
        text = source.read_text("utf-8") if isinstance(source, Path) else source
        return _read(name, text, frozenset(scopes))
    except OSError as error:
        raise SettingsError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name}: is not valid YAML: {error}") from error


@lru_cache(maxsize=8)
def _read(name: str, text: str, scopes: frozenset[str]) -> Policy:
    return _policy(place_of(name, text), sorted(scopes))


def _policy(root: Place, scopes: Collection[str]) -> Policy:
    top = root.only(("version", "reserved_types", "bounds", "rules", "lifecycles"))
    if top["version"].value() != 1 or isinstance(top["version"].value(), bool):
        raise top["version"].refuse("use 1")
    lifecycles = top["lifecycles"].only(SUBJECTS)
    return sealed(
        Policy(
            rules=_rules(top["rules"]),
            artifact=_lifecycle("artifact", lifecycles["artifact"], scopes),
            task=_lifecycle("task", lifecycles["task"], scopes),
            project=_lifecycle("project", lifecycles["project"], scopes),
            bounds=_bounds(top["bounds"]),
            reserved_types=frozenset(place.text() for place in top["reserved_types"].items()),
        )
    )


def _bounds(place: Place) -> Bounds:
    bounds: dict[str, int | None] = {}
    for name, member in place.only((), Bounds.__struct_fields__).items():
        bounds[name] = member.whole() if member.value() is not None else None
    return Bounds(**bounds)


def _rules(place: Place) -> dict[str, Rule]:
    rules = dict(RULES)
    for name, member in place.members().items():
        if name not in RULES:
            raise member.refuse(f"no conflict class has this name: use {', '.join(RULES)}")
        given = member.only((), ("severity", "strategy", "adaptive", "mode"))
        changes: dict[str, Any] = {}
        if "severity" in given:
            changes["severity"] = Severity(given["severity"].known(Severity, "known severity"))
        if "strategy" in given:
            changes["strategy"] = Strategy(given["strategy"].known(Strategy, "known strategy"))
        if "adaptive" in given:
            changes["adaptive"] = given["adaptive"].known(get_args(Adaptive), "known behaviour of adaptive")
            if changes["adaptive"] == "resolve" and name not in RESOLVABLE:
                raise given["adaptive"].refuse("the engine knows no safe way out of this class: use record or block")
        if "mode" in given:
            changes["mode"] = given["mode"].known(MODES, "known mode")
        rules[name] = msgspec.structs.replace(RULES[name], **changes)
    return rules


def _lifecycle(subject: Subject, place: Place, scopes: Collection[str]) -> Lifecycle:
    given = place.only(("initial", "states", "moves"))
    places = given["states"].members()
    states = {name: _state(subject, name, member) for name, member in places.items()}
    initial = given["initial"].known(states, "known state")
    moves: dict[str, list[Move]] = {}
    for member in given["moves"].items():
        for start, move in _moves(subject, member, states, scopes):
            if any(other.to == move.to for other in moves.get(start, ())):
                raise member.refuse(f"the move from {start} to {move.to} is given twice")
            if states[start].final:
                raise member.refuse(f"{start} is final: nothing leaves it")
            moves.setdefault(start, []).append(move)
    _check_reach(initial, places, states, moves)
    return Lifecycle(initial, states, {state: tuple(found) for state, found in moves.items()})


def _state(subject: Subject, name: str, place: Place) -> LifeState:
    flags: dict[str, Any] = {}
    for flag, member in place.only((), ("final", *_FLAGS[subject])).items():
        if flag == "as_dependency":
            flags[flag] = member.known(get_args(AsDependency), "known meaning")
        else:
            flags[flag] = member.flag()
    return LifeState(name=name, **flags)


def _moves(
    subject: Subject, place: Place, states: Collection[str], scopes: Collection[str]
) -> Iterable[tuple[str, Move]]:
    given = place.only(("from", "to"), ("who", "checks"))
    known = [*ROLES[subject], *scopes]
    who = tuple(each.known(known, "known role or scope") for each in given["who"].items()) if "who" in given else ()
    checks: tuple[str, ...] = ()
    if "checks" in given:
        checks = tuple(each.known(GATES[subject], "known check") for each in given["checks"].items())
    for start in given["from"].one_or_more():
        for to in given["to"].one_or_more():
            yield start.known(states, "known state"), Move(to.known(states, "known state"), who, checks)


def _check_reach(
    initial: str, places: Mapping[str, Place], states: Mapping[str, LifeState], moves: Mapping[str, list[Move]]
) -> None:
    """Refuse a state that cannot be reached, and one that cannot be left though it is not called final."""
    reached, todo = {initial}, [initial]
    while todo:
        for move in moves.get(todo.pop(), ()):
            if move.to not in reached:
                reached.add(move.to)
                todo.append(move.to)
    for name, state in states.items():
        if name not in reached:
            raise places[name].refuse(f"no moves lead from {initial} to this state")
        if not moves.get(name) and not state.final:
            raise places[name].refuse("no move leaves this state: give it one, or say final: true")
    tombs = [name for name, state in states.items() if state.tombstone]
    if len(tombs) > 1:
        raise places[tombs[1]].refuse(f"only one state can be the tombstone, and {tombs[0]} is it")
