"""Projects with planted conflicts of every class, among declarations that look alike and are clean.

Seeded. A case is what was done before (its setup, all clean), what is asked then (its probe), and the classes of
conflict that the probe has by construction: nothing here asks the engine, or ``psmp_spec``. All cases of a corpus share
one project, their setups shuffled into each other; names, paths and packages keep them apart. Half of the cases are
near misses: the same shape with the one thing changed that makes it no conflict.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from metaqore import kinds
from metaqore.messages import Outcome
from metaqore.psmp.catalogue import RULES
from metaqore.psmp.policy import with_bounds
from metaqore.requests.catalogue import Catalogue
from metaqore.settings import load
from tests.psmp_world import AUTHORITY, World

#: (principal, kind, payload); "$name" in a payload stands for the id of the artifact of that name.
Ask = tuple[str, str, dict[str, Any]]
DEPTH, TURNS = 6, 3


class Case(NamedTuple):
    """One planted conflict, or a near miss."""

    setup: Sequence[Ask]
    probe: Ask
    expected: frozenset[str]


def declare(by: str, name: str, content: Any = None, *, uses: Sequence[Any] = (), **more: Any) -> Ask:
    """Return a declaration; without a content it has one of its own, that no other artifact has."""
    deps = [{"type": "doc", "name": use} if isinstance(use, str) else use for use in uses]
    made = {"about": f"what {name} is about", "a": 0, "b": 0} if content is None else content
    payload = {"type": "doc", "name": name, "content": made, "depends_on": deps, **more}
    return (
        by,
        "artifact.declare",
        {key: value for key, value in payload.items() if value is not None and (value != [] or key == "owns")},
    )


def at(name: str, version: int | str) -> dict[str, Any]:
    """Return a dependency on a version or a range."""
    return {"type": "doc", "name": name, "version": version}


def move(name: str, to: str) -> Ask:
    return "ann", "artifact.transition", {"artifact": f"${name}", "to": to, "authority": AUTHORITY}


def delete(name: str, **how: bool) -> Ask:
    return "ann", "artifact.delete", {"artifact": f"${name}", "authority": AUTHORITY, **how}


def doc(name: str, **changed: Any) -> dict[str, Any]:
    """Return the content that ``declare`` gives, changed."""
    return {"about": f"what {name} is about", "a": 0, "b": 0, **changed}


def lines(name: str, **changed: str) -> str:
    """Return a text of ten lines; ``l3="…"`` changes one of them."""
    return "".join(f"{changed.get(f'l{n}', f'{name}, line {n}')}\n" for n in range(10))


Maker = Callable[[random.Random, str], Iterator[tuple[Sequence[Ask], Ask, Sequence[str]]]]


def versions(r: random.Random, n: str) -> Iterator[Any]:
    one, two = declare("ann", n), declare("ann", n, doc(n, a=1), base_version=1)
    yield [one, two], declare("ann", n, doc(n, b=1), base_version=1), ["version_mismatch"]
    yield [one], declare("ann", n, doc(n, b=1), base_version=r.randint(2, 9)), ["version_mismatch"]
    yield [one], declare("ann", n, doc(n, b=1)), ["version_mismatch"]
    yield [], declare("ann", n, base_version=1), ["version_mismatch"]
    yield [one, two], declare("ann", n, doc(n, b=1), base_version=2), []
    bob = declare("bob", n, doc(n, a=1), base_version=1)
    yield [one, bob], declare("ann", n, doc(n, b=1), base_version=1), ["parallel_creation"]
    yield [(*bob[:2], declare("bob", n)[2])], declare("ann", n, doc(n, b=1)), ["parallel_creation"]
    yield [one, bob], declare("ann", n, doc(n, b=1), base_version=2), []
    yield [one, bob], declare("bob", n, doc(n, b=1), base_version=1), ["version_mismatch"]


def contents(r: random.Random, n: str) -> Iterator[Any]:
    stale = "parallel_creation"
    at_line = r.randint(0, 9)
    far = (at_line + r.randint(3, 7)) % 10
    one, bob = declare("ann", n, lines(n)), declare("bob", n, lines(n, **{f"l{at_line}": "bob"}), base_version=1)

    def mine(line: int, text: str) -> Ask:
        return declare("ann", n, lines(n, **{f"l{line}": text}), base_version=1)

    yield [one, bob], mine(at_line, "ann"), [stale, "content_conflict"]
    yield [one, bob], mine(at_line, "bob"), [stale]
    yield [one, bob], mine(far, "ann"), [stale] if abs(far - at_line) > 1 else [stale, "content_conflict"]
    one, bob = declare("ann", n), declare("bob", n, doc(n, a=1), base_version=1)
    yield [one, bob], declare("ann", n, doc(n, a=2), base_version=1), [stale, "content_conflict"]
    yield [one, bob], declare("ann", n, doc(n, b=2), base_version=1), [stale]
    files = {"files": {"a.py": "a\n", "b.py": f"{n}\n"}}
    one, bob = declare("ann", n, files), declare("bob", n, {"files": {"a.py": "b\n", "b.py": f"{n}\n"}}, base_version=1)
    yield [one, bob], declare("ann", n, {"files": {"b.py": f"{n}\n"}}, base_version=1), [stale, "content_conflict"]
    yield [one, bob], declare("ann", n, {"files": {"a.py": "a\n"}}, base_version=1), [stale]


def owners(r: random.Random, n: str) -> Iterator[Any]:
    one = declare("ann", n, owns=["/a"])
    yield [one], declare("bob", n, doc(n, a=1), base_version=1), ["field_ownership"]
    gone = {key: value for key, value in doc(n).items() if key != "a"}
    yield [one], declare("bob", n, gone, base_version=1), ["field_ownership"]
    yield [one], declare("bob", n, doc(n, b=1), base_version=1), []
    yield [one], declare("ann", n, doc(n, a=1), base_version=1), []
    yield [one], declare("bob", n, doc(n, a=1), base_version=1, force=["/a"]), []
    yield (
        [one, declare("ann", n, doc(n, b=5), base_version=1, owns=[])],
        declare("bob", n, doc(n, a=1), base_version=2),
        [],
    )


def dependencies(r: random.Random, n: str) -> Iterator[Any]:
    on, chain = f"{n}-on", [f"{n}-{k}" for k in range(r.randint(2, 5))]
    there, newer = declare("ann", on), declare("ann", on, doc(on, a=1), base_version=1)
    yield [], declare("ann", n, uses=[on]), ["missing_dependency"]
    yield [there], declare("ann", n, uses=[{"type": "note", "name": on}]), ["missing_dependency"]
    yield [there], declare("ann", n, uses=[at(on, r.randint(2, 9))]), ["missing_dependency"]
    yield [there, delete(on)], declare("ann", n, uses=[on]), ["missing_dependency"]
    yield [there], declare("ann", n, uses=[on]), []
    yield [there], declare("ann", n, uses=[{"artifact": f"${on}"}]), []
    ring = [declare("ann", name, uses=[below]) for below, name in zip([n, *chain], chain, strict=False)]
    back = declare("ann", n, doc(n, a=1), base_version=1, uses=[chain[-1]])
    yield [declare("ann", n), *ring], back, ["circular_dependency"]
    yield [], declare("ann", n, uses=[n]), ["circular_dependency"]
    yield [declare("ann", n), *ring[:1]], declare("ann", f"{n}-top", uses=[n, chain[0]]), []
    turned = [declare("ann", n), declare("ann", on, uses=[n]), declare("ann", on, doc(on, a=1), base_version=1)]
    yield turned, declare("ann", n, doc(n, a=1), base_version=1, uses=[on]), []
    yield [there, newer], declare("ann", n, uses=[at(on, 1)]), ["superseded_dependency"]
    yield [there, newer], declare("ann", n, uses=[at(on, 2)]), []
    yield [there, newer], declare("ann", n, uses=[at(on, r.choice(["<1", ">2", ">=3,<9"]))]), ["unsatisfied_range"]
    yield [there, newer], declare("ann", n, uses=[at(on, r.choice([">=1", "*", ">=2,<3"]))]), []
    yield [there, move(on, "deprecated")], declare("ann", n, uses=[on]), ["deprecated_dependency"]
    yield [there, move(on, "active")], declare("ann", n, uses=[on]), []
    yield [there, move(on, "quarantined")], declare("ann", n, uses=[on]), ["blocked_dependency"]
    yield [there, move(on, "quarantined"), move(on, "active")], declare("ann", n, uses=[on]), []
    yield [declare("bob", on, uses=[f"{n}-no"])], declare("ann", n, uses=[on]), ["blocked_dependency"]
    yield [declare("bob", on, uses=[f"{n}-no"]), there], declare("ann", n, uses=[on]), []


#: (ecosystem, what is there, what is asked) of which no version, or some version, is both.
APART = (
    ("pypi", ">=2.0", "<2.0"), ("pypi", "==1.4", "!=1.4"), ("pypi", "~=1.4", ">=2"), ("pypi", "==1.*", ">1.999,>=2"),
    ("npm", "^1.2.0", "^2.0.0"), ("npm", "~1.3", ">=1.4.0"), ("npm", "1.x", "0.x || >=2"),
)  # fmt: skip
TOGETHER = (
    ("pypi", ">=2.0", "<3"), ("pypi", "~=1.4", ">=1.4.5"), ("pypi", "!=1.4", "==1.4.1"), ("pypi", "==1.*", ">=1.9"),
    ("npm", "^1.2.0", "~1.3"), ("npm", "1.x", "0.x || >=1.9"), ("npm", ">=1.0.0 <2.0.0", "1.5.0"),
)  # fmt: skip


def constraints(r: random.Random, n: str) -> Iterator[Any]:
    def needs(name: str, ecosystem: str, specifier: str, **more: Any) -> Ask:
        entry = {"name": f"pkg-{n}", "specifier": specifier, "ecosystem": ecosystem, **more}
        return declare("ann", name, requires=[entry])

    ecosystem, there, asked = r.choice(APART)
    first, second = needs(f"{n}-first", ecosystem, there), needs(n, ecosystem, asked)
    yield [first], second, ["constraint_conflict"]
    yield [first, move(f"{n}-first", "deprecated")], second, []
    yield [first], needs(n, ecosystem, asked, scope="build"), []
    yield [first], needs(n, ecosystem, asked, scope="dev"), ["constraint_conflict"]
    yield [first], needs(n, "npm" if ecosystem == "pypi" else "pypi", ">=1.0"), []
    ecosystem, there, asked = r.choice(TOGETHER)
    yield [needs(f"{n}-first", ecosystem, there)], needs(n, ecosystem, asked), []


def claims(r: random.Random, n: str) -> Iterator[Any]:
    def held(name: str, *paths: str, **more: Any) -> Ask:
        return declare("ann", name, claims=[f"{n}/{path}" for path in paths], **more)

    first = held(f"{n}-first", "src/*.py")
    yield [first], held(n, f"src/{r.choice('abc')}.py"), ["claim_collision"]
    yield [first], held(n, "**"), ["claim_collision"]
    yield [first], held(n, "src/"), ["claim_collision"]
    yield [first], held(n, "src/sub/a.py"), []
    yield [first], held(n, "src/*.pyi", "lib/**"), []
    yield [first, delete(f"{n}-first")], held(n, "src/a.py"), []
    yield [first], held(f"{n}-first", "src/a.py", content=doc(f"{n}-first", a=1), base_version=1), []
    port = {"resources": [f"port {n}"]}
    yield [declare("ann", f"{n}-first", claims=port)], declare("bob", n, claims=port), ["claim_collision"]
    yield [declare("ann", f"{n}-first", claims=port)], declare("bob", n, claims={"resources": [f"port {n}0"]}), []


def reads(r: random.Random, n: str) -> Iterator[Any]:
    on = f"{n}-on"
    there, newer = declare("bob", on), declare("bob", on, doc(on, a=1), base_version=1)

    def read(version: int) -> Ask:
        return declare("ann", n, read_set=[at(on, version)])

    yield [there, newer], read(1), ["read_set_changed"]
    yield [there], read(2), ["read_set_changed"]
    yield [], read(1), ["read_set_changed"]
    yield [there, delete(on)], read(1), ["read_set_changed"]
    yield [there, newer], read(2), []
    yield [there, move(on, "active")], read(1), []


def copies(r: random.Random, n: str) -> Iterator[Any]:
    twin, text = f"{n}-twin", f"A long enough description of the work that {n} is about."
    there = declare("bob", twin, text)
    yield [there], declare("ann", n, text), ["duplicate_work"]
    yield [there], declare("ann", n, text[:-1] + "!"), []
    yield [there, declare("bob", twin, text + "!", base_version=1)], declare("ann", n, text), []
    yield [there, move(twin, "deprecated")], declare("ann", n, text), []
    yield [declare("bob", twin, "0101")], declare("ann", n, "0101"), []
    writes = {"purpose": f"to write {n}", "expires_in_s": 3600, "writes": [{"type": "doc", "name": n}]}
    yield [("bob", "intent.announce", writes)], declare("ann", n), ["duplicate_work"]
    yield [("ann", "intent.announce", writes)], declare("ann", n), []
    yield [("bob", "intent.announce", writes)], declare("ann", f"{n}x"), []


def lifecycles(r: random.Random, n: str) -> Iterator[Any]:
    one, above = declare("ann", n), declare("ann", f"{n}-above", uses=[n])
    yield [one, move(n, "deprecated")], move(n, "active"), ["illegal_transition"]
    yield [one, move(n, "active")], move(n, "proposed"), ["illegal_transition"]
    yield [one], move(n, r.choice(["active", "deprecated", "quarantined"])), []
    yield [one, delete(n)], declare("ann", n, doc(n, a=1), base_version=1), ["illegal_transition"]
    yield [one, move(n, "deprecated")], declare("ann", n, doc(n, a=1), base_version=1), []
    yield [one, above], delete(n), ["dependants_remain"]
    yield [one, above], delete(n, cascade=True), []
    yield [one, above], delete(n, deprecate=True), []
    yield [one, above, delete(f"{n}-above")], delete(n), []
    yield [one, above, declare("ann", f"{n}-above", doc(n, q=1), base_version=1)], delete(n), []


def labels(r: random.Random, n: str) -> Iterator[Any]:
    on = f"{n}-on"
    there = declare("ann", on, label="SENSITIVE")
    low = r.choice(["PUBLIC", "INTERNAL"])
    yield [there], declare("ann", n, uses=[on], label=low), ["label_lowered"]
    yield [there], declare("ann", n, read_set=[at(on, 1)], label=low), ["label_lowered"]
    yield [there], declare("ann", on, doc(on, a=1), base_version=1, label=low), ["label_lowered"]
    yield [there], declare("ann", n, uses=[on], label=r.choice(["SENSITIVE", "CRITICAL"])), []
    yield [there], declare("ann", n, uses=[on]), []
    yield [there], declare("ann", n, label=low), []


def bounds(r: random.Random, n: str) -> Iterator[Any]:
    names = [f"{n}-{k}" for k in range(DEPTH + 1)]
    tower = [declare("ann", name, uses=names[k - 1 : k] if k else ()) for k, name in enumerate(names)]
    yield tower, declare("ann", n, uses=[names[-1]]), ["bound_exceeded"]
    yield tower, declare("ann", n, uses=[names[-2]]), []

    def talk(name: str, about: str) -> Ask:
        return declare("ann", name, metadata={"conversation": about})

    turns = [talk(f"{n}-t{k}", n) for k in range(TURNS)]
    yield turns, talk(n, n), ["bound_exceeded"]
    yield turns, talk(n, f"{n}x"), []
    yield turns[1:], talk(n, n), []


MAKERS: tuple[Maker, ...] = (
    versions, contents, owners, dependencies, constraints, claims, reads, copies, lifecycles, labels, bounds,
)  # fmt: skip


def corpus(seed: int, rounds: int) -> list[Case]:
    """Return ``rounds`` cases of every shape that there is, some of them with a second conflict or with finery."""
    r = random.Random(seed)
    cases = []
    for number in range(rounds):
        for maker in MAKERS:
            count = sum(1 for _ in maker(random.Random(0), "x"))
            for shape in range(count):
                name = f"{maker.__name__}{shape}r{number}s{r.randrange(10**6)}"
                setup, probe, expected = list(maker(random.Random(r.random()), name))[shape]
                cases.append(_dressed(r, name, Case(setup, probe, frozenset(expected))))
    r.shuffle(cases)
    return cases


def _dressed(r: random.Random, name: str, case: Case) -> Case:
    """Add to a declaration what makes no difference, or a second conflict that has nothing to do with the first."""
    by, kind, payload = case.probe
    if kind != "artifact.declare" or "metadata" in payload or "bound_exceeded" in case.expected or r.random() < 0.4:
        return case
    other = f"{name}-other"
    setup, payload, expected = [*case.setup, declare("cat", other, label="PUBLIC")], dict(payload), set(case.expected)
    for dressing in r.sample(["uses", "reads", "claims", "label", "missing", "stale read"], r.randint(1, 3)):
        if dressing == "uses":
            payload["depends_on"] = [*payload.get("depends_on", ()), {"type": "doc", "name": other}]
        elif dressing == "reads":
            payload["read_set"] = [*payload.get("read_set", ()), at(other, 1)]
        elif dressing == "claims" and "claims" not in payload:
            payload["claims"] = [f"finery/{name}/**"]
        elif dressing == "label" and "label" not in payload:
            payload["label"] = "CRITICAL"
        elif dressing == "missing":
            payload["depends_on"] = [*payload.get("depends_on", ()), {"type": "doc", "name": f"{name}-not-there"}]
            expected.add("missing_dependency")
        elif dressing == "stale read":
            payload["read_set"] = [*payload.get("read_set", ()), at(other, 2)]
            expected.add("read_set_changed")
    return Case(setup, (by, kind, payload), frozenset(expected))


class Score(NamedTuple):
    """What was found of one class: rightly, wrongly, and not."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 0.0


@cache
def bounded() -> Catalogue:
    """Return the kinds under the usual policy with small bounds."""
    settings = load({"storage_dsn": "sqlite://", "redis_url": "redis://127.0.0.1:1/0"}, environ={})
    policy = with_bounds(kinds.psmp_policy(settings), dependency_depth=DEPTH, conversation_turns=TURNS)
    return kinds.history_kinds(settings, policy)


def score(cases: Sequence[Case], *, seed: int = 0) -> tuple[dict[str, Score], list[str]]:
    """Ask the engine about a corpus; return the score of each class, and each case that was judged wrongly."""
    world, r = World("strict", bounded()), random.Random(seed)
    told: dict[str, list[int]] = {name: [0, 0, 0] for name in RULES}
    mistakes = []
    try:
        waiting = [list(case.setup) for case in cases]
        while left := [setup for setup in waiting if setup]:
            _ask(world, r.choice(left).pop(0))
        for case in cases:
            found = classes(_ask(world, case.probe))
            for name in RULES:
                is_there, is_found = name in case.expected, name in found
                if is_there or is_found:
                    told[name][0 if is_there and is_found else 1 if is_found else 2] += 1
            if found != case.expected:
                mistakes.append(f"{case.probe}: found {sorted(found)}, planted {sorted(case.expected)}")
    finally:
        world.close()
    return {name: Score(*counts) for name, counts in told.items()}, mistakes


def _ask(world: World, asked: Ask) -> Outcome:
    by, kind, payload = asked
    outcome = world.decide([(by, kind, _with_ids(payload, world.ids))])[0]
    assert outcome.error is None, (asked, outcome.error)
    return outcome


def _with_ids(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return ids[value[1:]] if value.startswith("$") else value
    if isinstance(value, dict):
        return {name: _with_ids(member, ids) for name, member in value.items()}
    return [_with_ids(member, ids) for member in value] if isinstance(value, list) else value


def classes(outcome: Outcome) -> frozenset[str]:
    """Return the classes of the conflicts that were found."""
    report = outcome.result.get("blocking_report", outcome.result)
    return frozenset(conflict["class"] for conflict in report.get("conflicts", ()))


def table(scores: Mapping[str, Score]) -> str:
    """Return precision and recall of each class, for people."""
    rows = [f"{'class':24} {'found':>6} {'wrong':>6} {'missed':>6} {'precision':>9} {'recall':>7}"]
    rows += [
        f"{name:24} {s.right:6} {s.wrong:6} {s.missed:6} {s.precision:9.3f} {s.recall:7.3f}"
        for name, s in sorted(scores.items())
    ]  # fmt: skip
    return "\n".join(rows)
