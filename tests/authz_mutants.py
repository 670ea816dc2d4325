"""Faults put into the authorization layer one by one, to see that the isolation matrix finds each of them.

``python -m tests.authz_mutants`` makes every mutant of what decides who may do what (a check dropped or turned round,
a call left out, ``and`` for ``or``, the filter by organization taken out of a statement), asks the rows of the matrix
over the API, and prints which mutants survive. A row is asked only about functions that it runs, which is looked up
beforehand, and each mutant in a process of its own, forked from one in which the application stands already.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib
import inspect
import logging
import multiprocessing
import os
import pkgutil
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple, get_type_hints

import pytest
import structlog

import api
from api import access, bounds, keyring, stops
from metaqore.security import foreign, keys, tokens
from metaqore.security import stops as stop_rules
from metaqore.security.gate import SecureGate
from metaqore.store import migrate
from metaqore.store.views import Views
from metaqore.store.views.psmp_time import PastViews
from tests.in_process import InProcess
from tests.integration.api.isolation_rows import rows
from tests.integration.api.test_lookups import World, make_world

#: What decides who may do what: every branch, call and ``and`` of these.
GUARDS: tuple[Any, ...] = (
    access.register, access.needed_scopes, bounds.check_path, bounds.check_submission, keys.Principal.may,
    keys.StoredKey.proves, keyring.KeyRing.authenticate, keyring.KeyRing._by_key, keyring.KeyRing._by_token,
    keyring.KeyRing._by_jwt, tokens.StoredToken.ended, foreign.verify, foreign._principal,
    stops.StopList.check, stop_rules.whose, stop_rules.against, SecureGate.check,
)  # fmt: skip
#: Where else somebody may be refused: of these only the branches that say no.
REFUSING = ("api", "metaqore.security.key_handlers", "metaqore.security.token_handlers")
_REFUSALS = ("NotFound", "Forbidden", "Unauthenticated", "Stopped")
#: Look-ups, of which only the filter by organization is changed.
VIEWS: tuple[type, ...] = (*get_type_hints(Views).values(), PastViews)
_FILTER = re.compile(r"((?:\b[a-z]\.)?)\borganization = \?")
#: Faults that change nobody's rights, and why.
_HARMLESS = {
    "act_for(": "row-level security, the second wall, on PostgreSQL alone: tests/contract/test_tenant.py",
    "rates.": "limits on how often, not on what: tests/unit/api/test_rates.py",
    "never: if not self._stopped": "only saves looking through an empty list",
    "now >= self._until or": "how soon a change is seen: tests/unit/api/test_stops.py",
    "self._listen()": "how soon a change is heard: tests/integration/api/test_bell.py",
    "self._verified.clear()": "how much is remembered, not for how long",
    "the other way: self._delegated is None or": "both are None or neither is",
    "asked.environ['PATH_INFO']": "which URLs no database takes: tests/integration/api/test_audit.py",
    "self._refused(": "what the log says of a failed login: tests/unit/api/test_failed_logins.py",
}
#: Look-ups whose filter stands before another one, or is none, and why.
_BEHIND = {
    "TimeViews.projects": "each project that is found is looked up again, within the organization",
    "HmcpViews._service": "only what the organization's own specialists did is counted",
    "PrivacyViews.everything": "the organization is repeated in the answer, which nothing is filtered by",
}
#: A mutant that has not come to an end by then is noticed, too.
_DEADLINE_S = 300.0


class Mutant(NamedTuple):
    """A fault: in which function, where, and what it is then."""

    function: Any
    line: int
    what: str
    code: CodeType

    def __str__(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}:{self.line} {self.what}"


def mutants() -> Iterator[Mutant]:
    """Yield every mutant, in the order of the lists above."""
    for function in GUARDS:
        yield from _of(function, _faults)
    for function in refusing():
        yield from _of(function, _unrefused)
    yield from unfiltered()


def unfiltered() -> Iterator[Mutant]:
    """Yield every mutant that looks up what all organizations have."""
    for view in VIEWS:
        for _, function in inspect.getmembers(view, inspect.isfunction):
            own = function.__qualname__.startswith(view.__name__ + ".") and not hasattr(function, "__wrapped__")
            if own and function.__qualname__ not in _BEHIND:
                yield from _of(function, lambda node, at=function: _unfiltered(node, at))  # type: ignore[misc]


def refusing() -> list[FunctionType]:
    """Return the functions that refuse somebody something, but for those whose every branch is looked at anyhow."""
    found: dict[CodeType, FunctionType] = {}
    for module in _modules():
        for _, member in inspect.getmembers(module, lambda each: inspect.isfunction(each) or inspect.isclass(each)):
            methods = inspect.getmembers(member, inspect.isfunction) if inspect.isclass(member) else [("", member)]
            for function in (inspect.unwrap(method) for _, method in methods):
                if function.__module__ == module.__name__ and function not in GUARDS:
                    found[function.__code__] = function
    return [function for code, function in found.items() if set(code.co_names) & set(_REFUSALS)]


def _modules() -> Iterator[Any]:
    for name in REFUSING:
        module = importlib.import_module(name)
        yield module
        if module is api:
            for each in pkgutil.walk_packages(api.__path__, "api."):
                if each.name != "api.wsgi":
                    yield importlib.import_module(each.name)


def _of(function: FunctionType, faults: Callable[[ast.AST], Iterator[tuple[str, ast.AST]]]) -> Iterator[Mutant]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return
    definition.decorator_list = []
    for index, node in enumerate(ast.walk(definition)):
        for turn in range(len(list(faults(node)))):
            changed = copy.deepcopy(tree)
            at = list(ast.walk(changed.body[0]))[index]
            found = list(faults(at))
            what, new = found[turn]
            if any(harmless in what for harmless in _HARMLESS):
                continue
            if new is not at:
                _replace(changed, at, new)
            scope: dict[str, Any] = {}
            exec(compile(ast.fix_missing_locations(changed), "mutant", "exec"), dict(function.__globals__), scope)
            code = scope[definition.name].__code__
            if code.co_freevars == function.__code__.co_freevars:
                yield Mutant(function, getattr(node, "lineno", 0), what, code)


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    class Replacing(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return new if node is old else self.generic_visit(node)

    Replacing().visit(tree)


def _faults(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield (what it is, the node in its place); each works on a fresh copy."""
    if isinstance(node, ast.If) and any(isinstance(each, ast.Raise | ast.Return) for each in node.body):
        dropped, turned = copy.deepcopy(node), copy.deepcopy(node)
        dropped.test = ast.Constant(False)
        turned.test = ast.UnaryOp(ast.Not(), node.test)
        yield f"never: if {ast.unparse(node.test)}", dropped
        yield f"turned round: if {ast.unparse(node.test)}", turned
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"left out: {ast.unparse(node)}", ast.Pass()
    elif isinstance(node, ast.BoolOp):
        other = copy.deepcopy(node)
        other.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"and for or, or the other way: {ast.unparse(node)}", other


def _unrefused(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield faults in branches that refuse, and in calls of what does."""
    if isinstance(node, ast.If) and any(isinstance(each, ast.Raise) for each in node.body):
        refused = ast.unparse(node.body[-1])
        if any(f"raise {name}" in refused for name in _REFUSALS):
            yield from _faults(node)


def _unfiltered(node: ast.AST, function: FunctionType) -> Iterator[tuple[str, ast.AST]]:
    # A statement may stand in the module, under a name.
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        value = function.__globals__.get(node.id)
    if isinstance(value, str) and _FILTER.search(value):
        yield "every organization", ast.Constant(_FILTER.sub(r"(\1organization = ? OR 1 = 1)", value))
    elif isinstance(node, ast.Dict):
        names = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        kept = [index for index, name in enumerate(names) if name not in ("organization", "c.organization")]
        if len(kept) < len(node.keys):
            yield "every organization", ast.Dict([node.keys[i] for i in kept], [node.values[i] for i in kept])


@contextmanager
def faulty(mutant: Mutant) -> Iterator[None]:
    """Let a function be its mutant inside the block, whoever has imported it."""
    whole = mutant.function.__code__
    mutant.function.__code__ = mutant.code
    try:
        yield
    finally:
        mutant.function.__code__ = whole


def _inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _inside(constant)


class Matrix:
    """The rows, and copies of one database that has one of each thing to ask them of."""

    def __init__(self, folder: Path, functions: Iterable[FunctionType]) -> None:
        self._template = folder / "template"
        self._template.mkdir()
        self._folder = folder
        #: Function → the rows that run it (None: it is run when the application is made).
        self._of: dict[CodeType, list[int | None]] = {}
        self._whose = {code: function.__code__ for function in functions for code in _inside(function.__code__)}
        # No thread of an application may be there when this process forks.
        self._things: tuple[str, dict[str, str], Any, str] = _in_a_fork(self._make)
        self.seconds: dict[str, float]
        self._of, self.seconds = _in_a_fork(self._look)

    def _make(self) -> Any:
        migrate.upgrade(f"sqlite:///{self._template / 'metaqore.db'}")
        world = make_world(self._template)
        world.mq.close()
        return world.mq.key, world.things, world.operations, world.stranger

    def world(self, name: str, *, fresh: bool = True) -> World:
        """Return an application over a copy of the database; nothing is opened before it is asked something."""
        key, things, operations, stranger = self._things
        folder = self._folder / name
        if fresh:
            self.renew(name)
        return World(InProcess(folder, key), things, operations, stranger)

    def renew(self, name: str) -> None:
        """Put a copy of the database into a folder."""
        shutil.rmtree(self._folder / name, ignore_errors=True)
        shutil.copytree(self._template, self._folder / name)

    def _look(self) -> Any:
        """Ask every row once; return which functions each runs, and how long each takes."""
        seen: set[CodeType] = set()

        def note(frame: Any, event: str, _: Any) -> None:
            if event == "call" and frame.f_code in self._whose:
                seen.add(frame.f_code)

        of: defaultdict[CodeType, list[int | None]] = defaultdict(list)
        threading.setprofile(note)
        sys.setprofile(note)
        world = self.world("looked")
        for code in {self._whose[code] for code in seen}:
            of[code].append(None)
        seconds = {}
        for index, row in enumerate(rows(world)):
            seen.clear()
            began = time.monotonic()
            row.run()
            seconds[row.name] = time.monotonic() - began
            for code in {self._whose[code] for code in seen}:
                of[code].append(index)
        sys.setprofile(None)
        world.mq.close()
        # What cannot be sent: code objects. The functions keep their order.
        order = {code: number for number, code in enumerate(dict.fromkeys(self._whose.values()))}
        return {order[code]: indexes for code, indexes in of.items()}, seconds

    def run_by(self, mutant: Mutant) -> list[int | None]:
        """Return the rows that run a mutant's function."""
        order = [*dict.fromkeys(self._whose.values())]
        found: Mapping[Any, list[int | None]] = self._of
        return found.get(order.index(mutant.function.__code__), [])

    def notices(self, mutant: Mutant, standing: World, name: str) -> str | None:
        """Return the name of a row that fails because of a mutant, or None. For a process of its own."""
        asked = self.run_by(mutant)
        with faulty(mutant):
            try:
                world = self.world(name, fresh=False) if None in asked else standing
                every = [*rows(world)]
            except Exception:
                return "the application does not start"
            chosen = [every[index] for index in asked if index is not None]
            for row in sorted(chosen, key=lambda row: self.seconds[row.name]):
                try:
                    row.run()
                except (Exception, pytest.fail.Exception):
                    return row.name
        return None


def _in_a_fork(made: Callable[[], Any]) -> Any:
    """Return what ``made`` returns in a process of its own.

    Raises:
        RuntimeError: it failed there.
    """
    receive, send = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if not child:
        try:
            send.send((True, made()))
        except BaseException as error:
            import traceback

            traceback.print_exc()
            send.send((False, repr(error)))
        os._exit(0)
    send.close()
    try:
        worked, answer = receive.recv()
    except EOFError:
        worked, answer = False, "the process ended"
    os.waitpid(child, 0)
    if not worked:
        raise RuntimeError(answer)
    return answer


def _one(mutant: Mutant, matrix: Matrix, standing: World, lane: str) -> str | None:
    """Return what notices a mutant, asked in a fork of this process."""
    matrix.renew(lane)
    receive, send = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if not child:
        try:
            send.send(matrix.notices(mutant, standing, lane))
        finally:
            os._exit(0)
    send.close()
    try:
        answer: str | None = receive.recv() if receive.poll(_DEADLINE_S) else "it came to no end"
    except EOFError:
        answer = "the process ended"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answer


def _lane(lane: str, chosen: Sequence[Mutant], matrix: Matrix, answers: Any) -> None:
    standing = matrix.world(lane)
    gc.freeze()
    for mutant in chosen:
        answers.send((str(mutant), _one(mutant, matrix, standing, lane)))
    answers.close()


def run(chosen: Sequence[Mutant], matrix: Matrix, *, jobs: int = 2, show: bool = False) -> list[str]:
    """Return those mutants that the matrix does not notice."""
    fork = multiprocessing.get_context("fork")
    pipes, lanes = [], []
    for lane in range(jobs):
        receive, send = fork.Pipe(duplex=False)
        process = fork.Process(target=_lane, args=(f"lane{lane}", chosen[lane::jobs], matrix, send))
        process.start()
        send.close()
        pipes.append(receive)
        lanes.append(process)
    survived, ended = [], 0
    while pipes:
        for pipe in multiprocessing.connection.wait(pipes):
            try:
                mutant, noticed = pipe.recv()  # type: ignore[union-attr]
            except EOFError:
                pipes.remove(pipe)  # type: ignore[arg-type]
                continue
            ended += 1
            if noticed is None:
                survived.append(mutant)
            if show:
                print(f"{'SURVIVED' if noticed is None else 'killed'} {mutant} [{noticed}]", flush=True)
    for process in lanes:
        process.join()
    if ended != len(chosen):
        raise RuntimeError(f"{len(chosen) - ended} mutants were not asked about: a process ended")
    return survived


def quiet() -> None:
    """Log nothing: what a mutant does fills pages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def main() -> int:
    """Run every mutant; return how many survive."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--only", default="", help="only mutants whose name has this in it")
    options = asked.parse_args()
    quiet()
    began = time.monotonic()
    every = [mutant for mutant in mutants() if options.only in str(mutant)]
    with tempfile.TemporaryDirectory(prefix="mqmutants") as folder:
        matrix = Matrix(Path(folder), {mutant.function for mutant in every})
        survived = run(every, matrix, jobs=options.jobs, show=True)
    for mutant in survived:
        print(f"SURVIVED {mutant}")
    seconds = time.monotonic() - began
    print(f"{len(every)} mutants, {len(every) - len(survived)} killed, {len(survived)} survived, {seconds:.0f} s")
    return len(survived)


if __name__ == "__main__":
    sys.exit(main())
