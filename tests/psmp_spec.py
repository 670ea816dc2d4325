"""What PSMP promises, said a second time, as plainly as can be: a whole project in memory, searched from end to end.

Written from what users are told, not from the engine, and without any of its code, so that the two can be compared:
each operation is ``applied`` here and there, and verdict, conflicts and what is stored must agree. What it leaves out:
managed fields, intents, bounds, text (the corpus has those). Package requirements are of one package, with whole
numbers as versions, and every version between 0 and 5 is tried.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NamedTuple

LABELS = ("PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL")
MOVES = {
    "proposed": ("active", "deprecated", "quarantined", "deleted"),
    "active": ("deprecated", "quarantined", "deleted"),
    "quarantined": ("active", "deprecated", "deleted"),
    "deprecated": ("deleted",),
    "deleted": (),
}
#: In these an artifact keeps its claims and counts as the work that it is.
HOLDING = ("proposed", "active", "quarantined")
RESOLVED = {"version_mismatch", "parallel_creation", "duplicate_work", "label_lowered"}
RECORDED = {"superseded_dependency", "deprecated_dependency"}
#: Every path that the patterns used here can tell apart.
PATHS = ("a.py", "src/a.py", "src/b.py", "src/a.txt", "src/d/a.py", "docs/a.py", "docs/a.md", "docs/d/b.md")

Mode = Literal["strict", "adaptive", "playground"]


class Declare(NamedTuple):
    """A declaration. ``deps`` and ``reads`` are (name, version); a version of None is whichever there is."""

    by: str
    name: str
    content: Any
    base: int = 0
    deps: tuple[tuple[str, int | None], ...] = ()
    reads: tuple[tuple[str, int], ...] = ()
    claims: tuple[str, ...] = ()
    label: str | None = None
    #: What it requires of the package, e.g. ``<4,>=2``, with its parts in order.
    needs: str | None = None


class Move(NamedTuple):
    by: str
    name: str
    to: str


class Delete(NamedTuple):
    by: str
    name: str
    how: str | None = None


class Alias(NamedTuple):
    by: str
    name: str
    alias: str
    version: int | None


class Resolve(NamedTuple):
    """``proposal`` counts from 0, in the order in which they were blocked."""

    by: str
    proposal: int
    strategy: str


class Withdraw(NamedTuple):
    by: str
    proposal: int


class Restore(NamedTuple):
    by: str
    to: int


class SetMode(NamedTuple):
    by: str
    mode: Mode


Op = Declare | Move | Delete | Alias | Resolve | Withdraw | Restore | SetMode


class Version(NamedTuple):
    content: Any
    deps: tuple[tuple[str, int | None], ...]
    edges: frozenset[str]
    claims: tuple[str, ...]
    label: str
    by: str
    needs: str | None = None


class Art(NamedTuple):
    versions: tuple[Version, ...]
    state: str = "proposed"
    aliases: tuple[tuple[str, int], ...] = ()

    @property
    def head(self) -> Version:
        return self.versions[-1]


class Proposal(NamedTuple):
    op: Declare
    state: str
    classes: tuple[str, ...]


class Told(NamedTuple):
    """The answer: verdict or ``failed``, the classes of the conflicts in order, or the code of the failure."""

    verdict: str
    classes: tuple[str, ...] = ()
    error: str = ""


APPROVED = Told("approved")


def failed(code: str) -> Told:
    return Told("failed", error=code)


class Found(NamedTuple):
    """What is found about a declaration."""

    classes: tuple[str, ...]
    sound: frozenset[str]
    label: str
    #: content, deps, claims and needs of the merge with the head; None where there is none.
    merged: tuple[Any, tuple[tuple[str, int | None], ...], tuple[str, ...], str | None] | None
    #: What others accept of the package, with what it can keep; None where they agree on nothing.


class Spec:
    """One project."""

    def __init__(self, mode: Mode, narrows: bool = False) -> None:
        self.mode = mode
        #: Whether adaptive takes what all others accept in place of what contradicts them.
        self.narrows = narrows
        self.arts: dict[str, Art] = {}
        self.proposals: tuple[Proposal, ...] = ()
        #: What each position looked like; 0 is before the project was created.
        self.past: tuple[dict[str, Art], ...] = ({}, {})

    def copy(self) -> Spec:
        other = Spec(self.mode, self.narrows)
        other.arts, other.proposals, other.past = dict(self.arts), self.proposals, self.past
        return other

    @property
    def position(self) -> int:
        return len(self.past) - 1

    def apply(self, op: Op) -> Told:
        """Do it, and say what the answer is; whatever is decided is a position of its own."""
        told: Told = getattr(self, f"_{type(op).__name__.lower()}")(op)
        if told.verdict != "failed":
            self.past = (*self.past, dict(self.arts))
        return told

    # --- declarations ------------------------------------------------------------------------------------------------

    def _declare(self, op: Declare) -> Told:
        found = self.find(op)
        if not self._admit(op, found, self.mode):
            self.proposals = (*self.proposals, Proposal(op, "blocked", found.classes))
            return Told("blocked", found.classes)
        return Told("approved", found.classes)

    def _admit(self, op: Declare, found: Found, mode: Mode) -> bool:
        """Append a version, if the mode lets it through."""
        art, content, deps, claims, needs = self.arts.get(op.name), op.content, op.deps, op.claims, op.needs
        edges, label = found.sound, found.label
        if found.classes and mode == "strict":
            return False
        if found.classes and mode == "adaptive":
            if self.narrows and "constraint_conflict" in found.classes:
                needs = ",".join(sorted(self._required(op)))
            elif not {*found.classes} <= RESOLVED | RECORDED:
                return False
            if {"version_mismatch", "parallel_creation"} & {*found.classes}:
                if found.merged is None and (art is None or art.head.content != content):
                    return False
                if found.merged is not None and art is not None:
                    content, deps, claims, kept = found.merged
                    needs = needs if kept == op.needs else kept
                    if deps != op.deps:
                        gained = {name for name, version in deps if (name, version) not in op.deps}
                        edges = frozenset(n for n, _ in deps if n in found.sound or n in gained & art.head.edges)
                    label = self._highest(label, *(self.arts[name].head.label for name in edges))
        version = Version(content, deps, edges, claims, label, op.by, needs)
        self.arts[op.name] = art._replace(versions=(*art.versions, version)) if art is not None else Art((version,))
        return True

    def find(self, op: Declare) -> Found:
        """Return everything that is wrong with a declaration."""
        art, classes = self.arts.get(op.name), []
        there = len(art.versions) if art is not None else 0
        merged = None
        if art is not None and art.state == "deleted":
            classes.append("illegal_transition")
        if op.base != there:
            movers = {v.by for v in art.versions[op.base :]} - {op.by} if art is not None and op.base < there else ()
            classes.append("parallel_creation" if movers else "version_mismatch")
        if art is not None and 0 < op.base < there:
            merged = merge(art.versions[op.base - 1], art.head, op)
            classes += ["content_conflict"] if merged is None else []
        sound, wrong = self._dependencies(op)
        classes += wrong
        if op.needs is not None and any(not allowed(op.needs) & allowed(needs) for needs in self._required(op)):
            classes.append("constraint_conflict")
        classes += ["claim_collision" for claim in op.claims if self._claimed(claim, op.name)]
        for name, version in op.reads:
            read = self.arts.get(name)
            if name == op.name and read is not None:
                continue
            if read is None or read.state == "deleted" or len(read.versions) != version:
                classes.append("read_set_changed")
        if (art is None or art.head.content != op.content) and self._twin(op):
            classes.append("duplicate_work")
        label, lowered = self._label(op, art)
        classes += ["label_lowered"] if lowered else []
        return Found(tuple(sorted(classes)), sound, label, merged)

    def _dependencies(self, op: Declare) -> tuple[frozenset[str], list[str]]:
        sound: set[str] = set()
        wrong = []
        for name, version in op.deps:
            target = self.arts.get(name)
            if target is None:
                blocked = any(p.op.name == name and p.state == "blocked" for p in self.proposals)
                wrong.append(
                    "circular_dependency" if name == op.name else "blocked_dependency" if blocked
                    else "missing_dependency"
                )  # fmt: skip
            elif target.state == "deleted" or not 1 <= (version or 1) <= len(target.versions):
                wrong.append("missing_dependency")
            elif self._reaches(name, op.name):
                wrong.append("circular_dependency")
            else:
                sound.add(name)
                wrong += ["superseded_dependency"] if version not in (None, len(target.versions)) else []
                wrong += ["deprecated_dependency"] if target.state == "deprecated" else []
                wrong += ["blocked_dependency"] if target.state == "quarantined" else []
        return frozenset(sound), wrong

    def _reaches(self, start: str, end: str) -> bool:
        seen, todo = set(), [start]
        while todo:
            name = todo.pop()
            if name == end:
                return True
            if name not in seen and name in self.arts:
                seen.add(name)
                todo += self.arts[name].head.edges
        return False

    def _required(self, op: Declare) -> list[str]:
        others = (a.head.needs for n, a in self.arts.items() if n != op.name and a.state in HOLDING)
        return [needs for needs in others if needs is not None]

    def _claimed(self, pattern: str, but: str) -> bool:
        paths = {path for path in PATHS if matches(pattern, path)}
        return any(
            any(matches(claim, path) for path in paths)
            for name, art in self.arts.items() if name != but and art.state in HOLDING for claim in art.head.claims
        )  # fmt: skip

    def _twin(self, op: Declare) -> bool:
        """Whether the same content is a head that somebody else wrote; what is too short is never recognised."""
        if len({*json.dumps(op.content, separators=(",", ":"))}) < 12:
            return False
        return any(
            art.head.content == op.content and art.state in HOLDING and art.head.by != op.by
            for name, art in self.arts.items() if name != op.name
        )  # fmt: skip

    def _label(self, op: Declare, art: Art | None) -> tuple[str, bool]:
        inputs = [self.arts[name].head.label for name, _ in (*op.deps, *op.reads) if name in self.arts]
        if art is not None:
            inputs.append(art.head.label)
        elif op.label is None:
            inputs.append("INTERNAL")
        least = self._highest("PUBLIC", *inputs)
        if op.label is None:
            return least, False
        return self._highest(least, op.label), LABELS.index(op.label) < LABELS.index(least)

    def _highest(self, *labels: str) -> str:
        return max(labels, key=LABELS.index)

    # --- everything else ---------------------------------------------------------------------------------------------

    def _move(self, op: Move) -> Told:
        art = self.arts.get(op.name)
        if art is None:
            return failed("not_found")
        legal = op.to in MOVES[art.state] and op.to != "deleted"
        if legal or (self.mode == "playground" and op.to != "deleted"):
            self.arts[op.name] = art._replace(state=op.to)
            return APPROVED if legal else Told("approved", ("illegal_transition",))
        return Told("blocked", ("illegal_transition",))

    def _delete(self, op: Delete) -> Told:
        art = self.arts.get(op.name)
        if art is None:
            return failed("not_found")
        to = "deprecated" if op.how == "deprecate" else "deleted"
        if art.state == to:
            return APPROVED
        above = self._above(op.name) if op.how != "deprecate" else []
        if above and op.how != "cascade" and self.mode != "playground":
            return Told("blocked", ("dependants_remain",))
        if to not in MOVES[art.state]:
            return Told("blocked", ("illegal_transition",))
        for name in [op.name, *(above if op.how == "cascade" else ())]:
            self.arts[name] = self.arts[name]._replace(state=to)
        return Told("approved", ("dependants_remain",) if above and op.how != "cascade" else ())

    def _above(self, name: str) -> list[str]:
        found: list[str] = []
        todo = [name]
        while todo:
            below = todo.pop()
            fresh = [n for n, a in self.arts.items() if below in a.head.edges and a.state != "deleted"]
            todo += [n for n in fresh if n not in found]
            found += [n for n in fresh if n not in found]
        return found

    def _alias(self, op: Alias) -> Told:
        art = self.arts.get(op.name)
        if art is None or (op.version is not None and not 1 <= op.version <= len(art.versions)):
            return failed("not_found")
        if op.version is not None and art.state == "deleted":
            return failed("artifact_deleted")
        aliases = dict(art.aliases)
        if op.version is None and op.alias not in aliases:
            return failed("not_found")
        aliases.pop(op.alias, None)
        if op.version is not None:
            aliases[op.alias] = op.version
        self.arts[op.name] = art._replace(aliases=tuple(sorted(aliases.items())))
        return APPROVED

    def _resolve(self, op: Resolve) -> Told:
        proposal = self.proposals[op.proposal]
        if proposal.state != "blocked":
            return failed("already_resolved")
        found = self.find(proposal.op)
        if not self._admit(proposal.op, found, "playground" if op.strategy == "override" else "adaptive"):
            return Told("blocked", found.classes)
        self._close(op.proposal, "admitted")
        return APPROVED

    def _withdraw(self, op: Withdraw) -> Told:
        proposal = self.proposals[op.proposal]
        if proposal.state != "blocked":
            return failed("already_resolved")
        if proposal.op.by != op.by:
            return failed("forbidden")
        self._close(op.proposal, "withdrawn")
        return APPROVED

    def _close(self, at: int, state: str) -> None:
        closed = self.proposals[at]._replace(state=state)
        self.proposals = (*self.proposals[:at], closed, *self.proposals[at + 1 :])

    def _restore(self, op: Restore) -> Told:
        """Everything that was is as it was; what is newer is deprecated. A label that has risen since stays."""
        then = self.past[op.to]
        for name, art in list(self.arts.items()):
            if name not in then:
                state = art.state if art.state == "deleted" else "deprecated"
                self.arts[name] = art._replace(state=state)
                continue
            was, now = then[name], art.head
            if was.state == art.state == "deleted":
                continue
            if was.state == "deleted":
                self.arts[name] = art._replace(state="deleted")
                continue
            back = was.head._replace(label=self._highest(was.head.label, now.label), by=op.by)
            same = was.head._replace(edges=now.edges, by=now.by) == now
            # What was deleted, or had given up what it held, comes back as a version of its own.
            gone = art.state == "deleted" or (
                was.state != art.state
                and art.state not in ("proposed", "active")
                and bool(was.head.claims or was.head.needs)
            )
            versions = art.versions if same and not gone else (*art.versions, back)
            self.arts[name] = art._replace(state=was.state, versions=versions, aliases=was.aliases)
        return APPROVED

    def _setmode(self, op: SetMode) -> Told:
        self.mode = op.mode
        return APPROVED


def merge(base: Version, head: Version, op: Declare) -> Any:
    """Return (content, deps, claims, needs) with the changes of both sides; None where both changed one."""
    if all(isinstance(content, dict) for content in (base.content, head.content, op.content)):
        content: Any = _three_way(base.content, head.content, op.content)
    elif op.content in (base.content, head.content):
        content = head.content
    else:
        content = op.content if head.content == base.content else None
    sides = [dict(deps) for deps in (base.deps, head.deps, op.deps)]
    deps = _three_way(*sides)
    needs = _three_way(*({"package": side.needs} if side.needs else {} for side in (base, head, op)))
    if content is None or deps is None or needs is None:
        return None
    claims = [claim for claim in op.claims if claim not in base.claims or claim in head.claims]
    claims += [claim for claim in head.claims if claim not in base.claims and claim not in claims]
    order = [*dict(op.deps), *(name for name in dict(head.deps) if name not in dict(op.deps))]
    return content, tuple((name, deps[name]) for name in order if name in deps), tuple(claims), needs.get("package")


def allowed(needs: str) -> set[float]:
    """Return the versions that a requirement accepts; between two whole numbers there is one more."""
    versions = {half / 2 for half in range(11)}
    for part in needs.split(","):
        number = float(part.lstrip("<>="))
        versions = {
            v for v in versions if (v == number if "==" in part else v >= number if ">" in part else v < number)
        }
    return versions


_ABSENT = object()


def _three_way(base: dict[str, Any], head: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any] | None:
    merged = {}
    for key in dict.fromkeys([*head, *ours, *base]):
        was, theirs, mine = (side.get(key, _ABSENT) for side in (base, head, ours))
        if mine != was and theirs != was and mine != theirs:
            return None
        kept = theirs if mine == was else mine
        if kept is not _ABSENT:
            merged[key] = kept
    return merged


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern (``*`` within a segment, ``**`` over whole segments) names a path."""
    expression = "".join(
        {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*"}.get(part, re.escape(part))
        for part in re.split(r"(\*\*/|\*\*|\*)", pattern)
    )
    return re.fullmatch(expression, path) is not None
