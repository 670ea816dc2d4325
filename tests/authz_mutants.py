"""Faults put into the authorization layer one by one, to see that the isolation matrix finds each of them.

``python -m tests.authz_mutants`` makes every mutant of the functions below (a check dropped or turned round, a call
left out, ``and`` for ``or``, the filter by organization taken out of a statement), runs the matrix of
``tests/integration/api/test_isolation.py`` over the API in this process, and prints which mutants survive.
"""

from __future__ import annotations

import ast
import copy
import inspect
import logging
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import structlog

from api import access, bounds, keyring, stops
from api.door import EXTENSION
from metaqore.errors import MetaQoreError
from metaqore.security import keys
from metaqore.security import stops as stop_rules
from metaqore.security.gate import SecureGate
from metaqore.store import migrate
from metaqore.store.views import delivery, psmp, requests, security
from tests.in_process import InProcess
from tests.integration.api import test_isolation as isolation

#: What decides who may do what. Of the views, only the filter by organization is changed.
GUARDS: tuple[Any, ...] = (
    access.register, access.needed_scopes, bounds.check_path, bounds.check_submission, keys.Principal.may,
    keys.StoredKey.proves, keyring.KeyRing.authenticate, keyring.KeyRing._by_key, keyring.KeyRing._by_token,
    stops.StopList.check, stop_rules.whose, stop_rules.against, SecureGate.check,
)  # fmt: skip
VIEWS: tuple[type, ...] = (psmp.PsmpViews, security.SecurityViews, requests.RequestViews, delivery.DeliveryViews)
_FILTER = "organization = ?"
#: Faults that change nobody's rights, and why.
_HARMLESS = {
    "act_for(": "row-level security, the second wall, on PostgreSQL alone: tests/contract/test_tenant.py",
    "rates.": "limits on how often, not on what: tests/unit/api/test_rates.py",
    "never: if not self._stopped": "only saves looking through an empty list",
    "now >= self._until or": "how soon a change is seen: tests/unit/api/test_stops.py",
    "self._listen()": "how soon a change is heard: tests/integration/api/test_bell.py",
    "self._refused(": "what the log says of a failed login: tests/unit/api/test_failed_logins.py",
}


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
    for view in VIEWS:
        for _, function in inspect.getmembers(view, inspect.isfunction):
            if function.__qualname__.startswith(view.__name__ + ".") and not hasattr(function, "__wrapped__"):
                yield from _of(function, _unfiltered)


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


def _unfiltered(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _FILTER in node.value:
        text = node.value.replace(_FILTER, "(organization = ? OR 1 = 1)")
        yield "every organization", ast.Constant(text)
    elif isinstance(node, ast.Dict):
        names = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        kept = [index for index, name in enumerate(names) if name != "organization"]
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


class Matrix:
    """The isolation matrix over copies of one database that has one of each thing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "template"
        self._folder.mkdir()
        migrate.upgrade(f"sqlite:///{self._folder / 'metaqore.db'}")
        mq: Any = InProcess(self._folder)
        # What the fixtures are made by.
        fixtures: Any = isolation
        self._things = fixtures.things.__wrapped__(mq)
        self._operations = fixtures.operations.__wrapped__(mq)
        self._key = mq.key
        self._stranger = mq.make_key(["*"], principal="stranger", organization="elsewhere")
        mq.post("/stops", {"kind": "principal", "subject": "mallory", "reason": "it loops"})
        self._stopped = mq.make_key(["*"], principal="mallory")
        self._delegate = mq.make_key(["*"], principal="mallory/agent")
        mq.close()

    def check(self) -> None:
        """Raise where somebody may do what they may not, or may not do what they may."""
        with tempfile.TemporaryDirectory() as name:
            shutil.copytree(self._folder, name, dirs_exist_ok=True)
            mq: Any = InProcess(Path(name), self._key)
            try:
                self._check(mq)
            finally:
                mq.close()

    def _check(self, mq: Any) -> None:
        assert mq.get(f"/artifacts/{self._things['artifact']}").status == 200
        assert mq.get("/projects", key="").status == 401
        assert mq.get("//healthz", key="").status == 200
        assert mq.get("//nowhere").status == 404
        for key in (self._stopped, self._delegate):
            assert mq.get("/projects", key=key).status == 403
        body = {"name": "n", "principal": "p", "scopes": ["projects:read"]}
        made = mq.post("/keys", body).json
        assert mq.get("/projects", key=made["secret"]).status == 200
        rotated = mq.post(f"/keys/{made['id']}/rotate", {"overlap_s": 0})
        assert rotated.status == 200
        few = {name: self._operations[name] for name in ("listProjects", "createProject", "getArtifact")}
        isolation.test_without_a_valid_key_nothing_answers(mq, few, self._things)
        isolation.test_without_its_scope_nothing_answers(mq, self._operations, self._things)
        isolation.test_a_stranger_sees_nothing_and_changes_nothing(mq, self._operations, self._things, self._stranger)
        isolation.test_a_token_for_another_project_sees_nothing_and_changes_nothing(mq, self._operations, self._things)
        self._at_home(mq)
        self._looked_up_by_a_stranger(mq)
        self._stopped_in_the_queue(mq)

    def _looked_up_by_a_stranger(self, mq: Any) -> None:
        """Every look-up that takes an organization keeps to it, whatever stands before it."""
        views = mq.app.extensions[EXTENSION].views
        known = {**self._things, "request": self._things["request_id"], "key": self._things["key_id"], "limit": 50}
        known |= {"table": "artifacts", "thing": self._things["artifact"]}
        own = {str(value) for value in self._things.values() if len(str(value)) > 20}
        for group in (views.psmp, views.security, views.requests, views.delivery):
            for name, look_up in inspect.getmembers(group, inspect.ismethod):
                parameters = inspect.signature(look_up).parameters
                if "organization" not in parameters or name.startswith("_"):
                    continue
                asked = {each: known.get(each) for each in parameters} | {"organization": "elsewhere"}
                try:
                    answer = repr(look_up(**asked))
                except (TypeError, AttributeError, ValueError, MetaQoreError):
                    continue
                said = {str(value) for value in asked.values()}
                assert not [value for value in own - said if value in answer], name
                assert "classified-4711" not in answer, name

    def _at_home(self, mq: Any) -> None:
        """A token does in its own project what it was given, and nothing without a project."""
        project, task = self._things["project"], self._things["task"]
        scopes = ["artifacts:read", "artifacts:write", "tasks:write", "projects:read", "security:assess"]
        token = mq.post("/tokens", {"agent": "a", "project": project, "task": task, "scopes": scopes}).json["token"]
        other = mq.post("/tasks", {"project": project, "title": "other"}).json["id"]
        body = {"type": "doc", "name": "home", "content": "at home"}
        assert mq.get(f"/artifacts/{self._things['artifact']}", key=token).status == 200
        assert mq.get(f"/artifacts?project={project}", key=token).status == 200
        assert mq.get("/artifacts", key=token).status == 403
        assert mq.post("/artifacts", {"project": project, **body}, key=token).status == 202
        assert mq.post("/security/assess", {"content": "at no home"}, key=token).status == 403
        assert mq.get(f"/tasks/{other}", key=token).status == 200
        assert mq.call("PATCH", f"/tasks/{other}", {"title": "u"}, key=token, headers={"If-Match": "*"}).status == 403
        assert mq.call("PATCH", f"/tasks/{task}", {"title": "u"}, key=token, headers={"If-Match": "*"}).status == 200

    def _stopped_in_the_queue(self, mq: Any) -> None:
        """What was accepted before its principal was stopped is refused, and nobody else's is."""
        project = mq.project("queued")
        keys_of = {name: mq.make_key(["artifacts:write"], principal=name) for name in ("eve", "eve/agent", "ann")}
        ids = {}
        for name, key in keys_of.items():
            body = {"project": project, "type": "doc", "name": name, "content": name}
            ids[name] = mq.post("/artifacts", body, key=key).json["id"]
        mq.post("/stops", {"kind": "principal", "subject": "eve", "reason": "it loops"})
        mq.drain()
        verdicts = {name: mq.get(f"/requests/{request}").json["verdict"] for name, request in ids.items()}
        assert verdicts == {"eve": "vetoed", "eve/agent": "vetoed", "ann": "approved"}


def run(chosen: Sequence[Mutant], matrix: Matrix, *, show: bool = False) -> list[Mutant]:
    """Return those mutants that the matrix does not notice."""
    survived = []
    for mutant in chosen:
        with faulty(mutant):
            try:
                matrix.check()
            except Exception:
                killed = True
            else:
                killed = False
                survived.append(mutant)
        if show:
            print(f"{'killed  ' if killed else 'SURVIVED'} {mutant}", flush=True)
    return survived


def main() -> int:
    """Run every mutant; return how many survive."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        matrix = Matrix(Path(folder))
        matrix.check()
        every = list(mutants())
        survived = run(every, matrix, show=True)
    print(f"{len(every)} mutants, {len(every) - len(survived)} killed, {len(survived)} survived")
    return len(survived)


if __name__ == "__main__":
    sys.exit(main())
