"""Small worlds, looked through completely: three agents of three steps each, in every order in which they can meet.

After each step the engine's answer and everything that it has stored are compared with ``psmp_spec``, and with what
holds whatever the specification says. Where two orders lead to the same state (of agents, project, history and
topological order), what follows is looked through once and counted for both; ``merging=False`` goes every way.
Restores go back to where the scenario began, so that no other past matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.psmp_spec import Alias, Declare, Delete, Mode, Move, Op, Resolve, Restore, SetMode, Spec, Withdraw
from tests.psmp_world import Broken, World, catalogue, told_of

#: What an agent has last seen of each artifact: name → version.
Seen = dict[str, int]
Step = Callable[[str, Seen, Spec], Op]
AGENTS = ("ann", "bob", "cat")
OTHER = {"text": "Write the report on what was found, with numbers."}
WORK = {"text": "Parse the configuration, then check every field of it."}


def put(name: str, key: str, value: Any = 1, **more: Any) -> Step:
    """Change one key of what was last seen of an artifact."""

    def step(by: str, seen: Seen, spec: Spec) -> Declare:
        base = seen.get(name, 0)
        content = spec.arts[name].versions[base - 1].content if base else {}
        more.setdefault("deps", ())
        deps = tuple((dep, None) if isinstance(dep, str) else dep for dep in more["deps"])
        return Declare(by, name, {**content, key: value}, base, **{**more, "deps": deps})

    return step


def write(name: str, content: Any, base: int = 0, **more: Any) -> Step:
    """Declare the same whatever was seen."""
    return lambda by, _seen, _spec: Declare(by, name, content, base, **more)


def move(name: str, to: str) -> Step:
    return lambda by, _seen, _spec: Move(by, name, to)


def delete(name: str, how: str | None = None) -> Step:
    return lambda by, _seen, _spec: Delete(by, name, how)


def alias(name: str, version: int | None, word: str = "stable") -> Step:
    return lambda by, _seen, _spec: Alias(by, name, word, version)


def restore(to: int) -> Step:
    return lambda by, _seen, _spec: Restore(by, to)


def resolve(strategy: str) -> Step:
    """Do something about the newest proposal, whosever it is; where there is none, about nothing."""

    def step(by: str, _seen: Seen, spec: Spec) -> Op:
        if not spec.proposals:
            return Alias(by, "nothing", "stable", 1)
        newest = len(spec.proposals) - 1
        return Withdraw(by, newest) if strategy == "withdraw" else Resolve(by, newest, strategy)

    return step


class Scenario(NamedTuple):
    """Where three agents begin, and what each of them does."""

    name: str
    mode: Mode
    setup: Sequence[Op]
    agents: Sequence[Sequence[Step]]
    #: Whether adaptive narrows requirements that contradict others.
    narrows: bool = False


class Explored(NamedTuple):
    """How much was looked at."""

    orders: int
    decisions: int
    states: int


X1 = Declare("ann", "x", {"a": 0, "b": 0, "c": 0})
SCENARIOS = (
    Scenario("one artifact, strict", "strict", [X1], (
        (put("x", "a"), put("x", "a", 2), put("x", "a", 3)),
        (put("x", "b"), put("x", "b", 2), put("y", "b", 3, deps=["x"], reads=(("x", 2),))),
        (put("x", "a", 9), put("y", "c", 2), put("y", "a", 9, deps=[("x", 2)])),
    )),
    Scenario("one artifact, adaptive", "adaptive", [X1, Declare("ann", "s", {"k": 1})], (
        (put("x", "a"), put("x", "a", 2, deps=["s"]), put("x", "c", 5, claims=("src/*.py",))),
        (write("x", {"a": 0, "b": 7, "c": 0}, 1), put("s", "k", 2, label="SENSITIVE"), put("x", "b", 2)),
        (write("x", {"a": 9, "b": 0, "c": 0}, 1), write("x", {"a": 0, "b": 0, "c": 3}, 1),
         put("y", "z", deps=[("s", 1)], claims=("src/a.py",))),
    )),
    Scenario("a ring of dependencies, playground", "playground", [X1], (
        (put("x", "a", deps=["y"]), put("x", "a", 2, deps=["z"]), put("z", "q", deps=["w"])),
        (put("y", "b", deps=["z"], label="SENSITIVE"), put("y", "b", 2, deps=["x"]), put("w", "b", deps=["x"])),
        (put("z", "c", deps=["x"]), delete("x"), put("z", "c", 2, deps=["y", ("x", 1)], label="PUBLIC")),
    )),
    Scenario("a ring of dependencies, strict", "strict", [X1, *(Declare("ann", n, {n: 0}) for n in "yzw")], (
        (put("x", "a", deps=["y"]), put("x", "a", 2, deps=["w"]), put("x", "a", 3, deps=["y", "z"])),
        (put("y", "b", deps=["z"]), put("w", "b", deps=["x"]), put("y", "b", 2)),
        (put("z", "c", deps=["w"]), put("z", "c", 2, deps=["x"]), put("z", "c", 3, deps=["y"])),
    )),
    Scenario("claims, lifecycles, copies", "strict", [X1, Declare("bob", "y", {"k": 1}, claims=("docs/*.md",))], (
        (put("x", "a", claims=("src/*.py",)), move("x", "deprecated"), put("v", "a", deps=["x"])),
        (write("z", WORK, claims=("src/a.py",)), move("z", "active"), delete("y")),
        (write("w", WORK, claims=("src/**",)), put("u", "d", claims=("docs/a.md",), deps=["y"]), move("x", "active")),
    )),
    Scenario("blocked, and what becomes of it", "strict", [X1], (
        (write("x", {"a": 1, "b": 0, "c": 0}, 1), resolve("retry"), resolve("override")),
        (write("x", {"a": 2, "b": 0, "c": 0}, 1), resolve("merge"), put("y", "b", deps=["v"])),
        (write("x", {"a": 0, "b": 3, "c": 0}, 1), put("v", "c", deps=["w"]), resolve("withdraw")),
    )),
    Scenario("deleted and brought back", "adaptive",
             [X1, Declare("ann", "y", {"k": 1}, deps=(("x", None),), claims=("src/a.py",))], (
        (delete("x", "cascade"), restore(3), put("y", "k", 3, deps=["x"])),
        (alias("x", 1), put("x", "b"), alias("x", 2)),
        (put("y", "k", 2), delete("y"), put("z", "c", claims=("src/*.py",))),
    )),
)  # fmt: skip
#: Fewer steps, since nothing else is asked here.
PACKAGE = Scenario("one package, adaptive", "adaptive", [X1, Declare("ann", "y", {"k": 1}, needs=">=2")], (
        (put("x", "a", needs="<2"), put("y", "k", needs="<4,>=1")),
        (put("x", "b", needs="==3"), move("y", "deprecated")),
        (put("z", "k", needs="<2"),),
    ))  # fmt: skip
NARROWING = Scenario("one package, adaptive narrows", "adaptive", [X1, Declare("ann", "y", {"k": 1}, needs=">=2")], (
        (put("x", "a", needs=">=3"), put("x", "b", needs="<2")),
        (put("z", "k", needs="<2"), put("z", "m", needs="==1")),
        (put("w", "k", needs="<1"), move("y", "deprecated")),
    ), narrows=True)  # fmt: skip
#: Declarations alone, the same whatever was seen: they can be decided in one run.
RUNS = (
    Scenario("one run, strict", "playground",
             [X1, Declare("ann", "t", WORK), Declare("ann", "q", OTHER), Declare("ann", "z", OTHER),
              SetMode("ann", "strict")], (
        (write("x", {"a": 1, "b": 0, "c": 0}, 1), write("x", WORK, 2),
         write("y", {"b": 1}, deps=(("x", None), ("u", None)))),
        (write("t", {"a": 1}, 1), write("t", WORK, 2, claims=("src/a.py",)), write("x", {"a": 5}, 2)),
        (write("z", {"k": 5}, 1, claims=("src/*.py",)), write("z", OTHER, 2, deps=(("x", 1),)),
         write("u", {"k": 1}, deps=(("v", None),))),
    )),
    Scenario("one run, playground", "playground", [X1, Declare("ann", "y", {"k": 1})], (
        (write("x", {"a": 1}, 1, deps=(("y", None),)), write("z", {"q": 1}, deps=(("x", 2), ("y", 1))),
         write("y", {"k": 3}, 2, deps=(("z", None),), label="SENSITIVE")),
        (write("y", {"k": 2}, 1, deps=(("z", None),)), write("x", {"a": 2}, 2, deps=(("z", None),)),
         write("w", {"k": 1}, reads=(("x", 2),), claims=("src/**",))),
        (write("z", {"q": 2}, deps=(("x", None),), claims=("src/a.py",)), write("x", {"a": 3}, 1, deps=(("w", None),)),
         write("z", {"q": 3}, 1, deps=(("w", None),))),
    )),
    Scenario("one run, adaptive", "adaptive", [X1, Declare("ann", "s", {"k": 1})], (
        (write("x", {"a": 1, "b": 0, "c": 0}, 1, deps=(("s", None),)), write("s", {"k": 2}, 1, label="SENSITIVE"),
         write("x", {"a": 0, "b": 0, "c": 4}, 1)),
        (write("x", {"a": 0, "b": 2, "c": 0}, 1, claims=("src/a.py",)), write("x", {"a": 0, "b": 5, "c": 0}, 1),
         write("y", {"m": 1}, deps=(("x", 1),))),
        (write("x", {"a": 0, "b": 0, "c": 3}, 1), write("y", {"m": 2}, claims=("src/*.py",), deps=(("s", 1),)),
         write("y", {"m": 1, "n": 1}, 1)),
    )),
)  # fmt: skip


class Explorer:
    """Goes through a scenario."""

    def __init__(self, scenario: Scenario, *, merging: bool = True, most: int | None = None) -> None:
        self.scenario = scenario
        self.merging = merging
        self.most = most
        self.decisions = 0
        self.known: dict[Any, int] = {}
        self.proposals_matter = "blocked" in scenario.name

    def run(self) -> Explored:
        """Look at every order.

        Raises:
            Broken: with the steps that led there.
        """
        kinds, narrows = catalogue(self.scenario.narrows), self.scenario.narrows
        world, spec = World(self.scenario.mode, kinds), Spec(self.scenario.mode, narrows)
        try:
            for op in self.scenario.setup:
                self._do(world, spec, op)
            seen = {name: len(art.versions) for name, art in spec.arts.items()}
            orders = self._from(world, spec, (0, 0, 0), (seen, seen, seen), ())
        finally:
            world.close()
        return Explored(orders, self.decisions, len(self.known))

    def _from(self, world: World, spec: Spec, at: tuple[int, ...], seen: tuple[Seen, ...], path: tuple[Op, ...]) -> int:
        """Return the number of orders from here on."""
        if self.most is not None and self.decisions >= self.most:
            return 0
        key = self._key(world, spec, at, seen) if self.merging else path
        if key in self.known:
            return self.known[key]
        orders = 0
        for agent, steps in enumerate(self.scenario.agents):
            if at[agent] == len(steps):
                continue
            after = spec.copy()
            op = steps[at[agent]](AGENTS[agent], seen[agent], after)
            with world.tried():
                try:
                    self._do(world, after, op)
                except Exception as error:
                    if isinstance(error, Broken) and error.args[0].startswith("after "):
                        raise
                    shown = "\n  ".join(map(str, (*path, op)))
                    raise Broken(f"after \n  {shown}\n{type(error).__name__}: {error}") from error
                mine = dict(seen[agent])
                if isinstance(op, Declare) and op.name in after.arts:
                    mine[op.name] = len(after.arts[op.name].versions)
                orders += self._from(
                    world, after, (*at[:agent], at[agent] + 1, *at[agent + 1 :]),
                    (*seen[:agent], mine, *seen[agent + 1 :]), (*path, op),
                )  # fmt: skip
        self.known[key] = orders or 1
        return self.known[key]

    def _key(self, world: World, spec: Spec, at: tuple[int, ...], seen: tuple[Seen, ...]) -> Any:
        order = tuple(name for (name,) in world.run("SELECT name FROM artifacts ORDER BY rank"))
        blocked: Any = spec.proposals
        if not self.proposals_matter:
            blocked = sorted({proposal.op.name for proposal in blocked})
        return at, repr(seen), order, spec.mode, repr(sorted(spec.arts.items())), repr(blocked)

    def _do(self, world: World, spec: Spec, op: Op) -> None:
        before = spec.arts.get(op.name) if isinstance(op, Declare) else None
        mode = spec.mode
        promised = spec.apply(op)
        told = told_of(world.ask(op))
        self.decisions += 1
        if isinstance(op, Resolve) and told.verdict == "approved":
            told = told._replace(classes=())
        if told != promised:
            raise Broken(f"told {told}, promised {promised}")
        if isinstance(op, Declare) and told.verdict == "approved":
            if mode == "strict" and (told.classes or op.base != (len(before.versions) if before else 0)):
                raise Broken("strict has admitted over a conflict, or on an old head: an update is lost")
            stale = {"version_mismatch", "parallel_creation"} & {*told.classes}
            if mode == "adaptive" and stale and len(world.provenance(op.name).get("parents", ())) != 2:
                raise Broken("what was merged does not say from what")
            narrowed = [op.needs] if mode == "adaptive" and "constraint_conflict" in told.classes else []
            if narrowed and [each["declared"] for each in world.provenance(op.name).get("narrowed", ())] != narrowed:
                raise Broken("what was narrowed does not say what was declared")
        world.check(spec)


def in_one_run(scenario: Scenario, every: int = 1) -> Explored:
    """Decide every order (or one of each ``every``) of declarations in one run, and compare with one after the other.

    Raises:
        Broken: with the order.
    """
    world, start = World(scenario.mode), Spec(scenario.mode)
    count = 0
    try:
        for op in scenario.setup:
            start.apply(op)
            world.ask(op)
        for order in _orders(tuple(len(steps) for steps in scenario.agents))[::every]:
            at, ops = [0] * len(scenario.agents), []
            for agent in order:
                op = scenario.agents[agent][at[agent]](AGENTS[agent], {}, start)
                at[agent] += 1
                assert isinstance(op, Declare)
                ops.append(op)
            _compare(world, start.copy(), ops)
            count += 1
    finally:
        world.close()
    return Explored(count, count * len(ops), count)


def _compare(world: World, spec: Spec, ops: Sequence[Declare]) -> None:
    promised = [spec.apply(op) for op in ops]
    with world.tried():
        told = [told_of(outcome) for outcome in world.ask_together(ops)]
        for number, (was, should) in enumerate(zip(told, promised, strict=True)):
            if was != should:
                shown = "\n  ".join(map(str, ops[: number + 1]))
                raise Broken(f"in one run\n  {shown}\ntold {was}, promised {should}")
        world.check(spec)


def _orders(lengths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return every order of the agents' steps."""
    if not any(lengths):
        return [()]
    return [
        (agent, *rest)
        for agent, left in enumerate(lengths) if left
        for rest in _orders((*lengths[:agent], left - 1, *lengths[agent + 1 :]))
    ]  # fmt: skip
