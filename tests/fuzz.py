"""Generated requests against the running server, each answer held to the OpenAPI document.

The long form: ``python -m tests.fuzz --cases 20000``. It starts a MetaQore of its own, sends about as many cases to
each operation, valid ones and broken ones, and ends with 1 where an answer was a server error, had a status that its
operation does not document, or a body that its schema does not describe.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.running import Running, running, wait_until

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
#: What any operation may answer, and none documents by itself: the door refuses before anybody knows what was meant.
GENERAL = frozenset({400, 401, 403, 408, 413, 415, 429, 503})
#: These end what all others work with, or hold it up: they come last.
_LAST = ("savePolicy", "setStop", "liftStop", "setBudget", "archiveProject", "revokeKey", "rotateKey")
#: How many variants are sent of each generated case.
_VARIANTS = 4
_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 1e308, 0.1, "", " ", "x", "\x00", "\ud7ff\U0010ffff", "a" * 5000, "../..", "%00",
    "2026-11-22T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "art_none", [], [[]], {},
    {"": None}, "null",
    [None] * 300, {"type": "doc", "name": "a"}, "\u202e", "1e400", "'; --",
)  # fmt: skip
_HEADERS = ("Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "Accept", "X-Request-Id", "Data-Subject")
_ODD_HEADERS = (
    "",
    "*",
    "x",
    '"1"',
    'W/"1"',
    '"999999999999999999999"',
    "wait=0",
    "a" * 300,
    "\u00e9",
    "text/html",
    '"',
)
_HOW = settings(deadline=None, database=None, suppress_health_check=[*HealthCheck], phases=[Phase.generate])


def _decided(mq: Running, path: str, body: Any) -> Any:
    """Submit, and return the finished request, however long that takes on a busy machine."""
    # Nothing is waited for in the call itself: a request that would be answered later has another shape.
    accepted = mq.post(path, body).json
    assert "id" in accepted, accepted
    return wait_until(lambda: _finished(mq.get(f"/requests/{accepted['id']}").json), "a verdict", 120.0)


def _finished(request: Any) -> Any:
    return request if request["state"] not in ("accepted", "running") else None


def make_things(mq: Running) -> dict[str, Any]:
    """Make one of each thing; return path parameter → id."""
    project = mq.project("contract")
    body = {"project": project, "type": "code", "name": "a.py", "content": {"x": [1]}}
    created, blocked = _decided(mq, "/artifacts", body), _decided(mq, "/artifacts", body)
    said = blocked["result"]["blocking_report"]
    conflict = said["conflicts"][0]["id"]
    escalated = _decided(mq, f"/conflicts/{conflict}/resolve", {"strategy": "escalate"})
    endpoint = mq.post("/webhooks", {"url": "http://127.0.0.1:9/"}).json["id"]
    mq.post(f"/webhooks/{endpoint}/test")
    deliveries = wait_until(lambda: mq.get(f"/webhooks/{endpoint}/deliveries").json["items"], "a delivery")
    return {
        "project": project,
        "artifact": created["result"]["artifact"]["id"],
        "version": 1,
        "task": mq.post("/tasks", {"project": project, "title": "t"}).json["id"],
        "conflict": conflict,
        "proposal": said["proposal"],
        "approval": escalated["result"]["approval"]["id"],
        "request_id": created["id"],
        "endpoint": endpoint,
        "delivery": deliveries[0]["id"],
        "alias": "released",
        "seq": 1,
        "key_id": mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["audit:read"]}).json["id"],
    }


def read_document(mq: Running) -> Any:
    """Return the OpenAPI document without the stream, which does not end."""
    spec = copy.deepcopy(mq.get("/openapi.json").json)
    del spec["paths"]["/api/v1/events"]
    return schemathesis.openapi.from_dict(spec)


def aim(case: Case[Any], things: Mapping[str, Any]) -> None:
    """Let a case be about things that exist."""
    for parameter in case.path_parameters or {}:
        # Of what is not there, one that does not exist is enough: 404 is documented too.
        case.path_parameters[parameter] = things.get(parameter, f"{parameter}_none")
    if isinstance(case.body, dict) and "project" in case.body:
        case.body["project"] = things["project"]
    if "project" in (case.query or {}):
        case.query["project"] = things["project"]


class Fuzz:
    """The long form over one running MetaQore."""

    def __init__(self, mq: Running, cases: int, start: int) -> None:
        self._mq = mq
        found = [one.ok() for one in read_document(mq).get_all_operations()]
        self._operations = sorted(found, key=lambda one: _LAST.index(_name(one)) if _name(one) in _LAST else -1)
        self._each = max(2, -(-cases // len(self._operations)))
        self._random = random.Random(start)
        self._start = start
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        #: What went wrong, each once: operation and kind → the first case.
        self.failures: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        """Send everything."""
        things = make_things(self._mq)
        for operation in self._operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                try:
                    strategy = operation.as_strategy(generation_mode=mode)
                    self._try_out(operation, strategy, things)
                except Exception as error:
                    if not _cannot_be_broken(error):
                        raise
            print(f"{self.sent:>7} {_name(operation)}", flush=True)
            if operation.method.upper() != "GET":
                things = make_things(self._mq)

    def _try_out(self, operation: Any, strategy: Any, things: Mapping[str, Any]) -> None:
        @seed(self._start)
        @settings(_HOW, max_examples=-(-self._each // (2 + 2 * _VARIANTS)))
        @given(case=strategy)
        def answers_hold(case: Case[Any]) -> None:
            # One in eight is about something that does not exist, or anything that the document allows as an id.
            if self._random.random() < 0.875:
                aim(case, things)
            for variant in self._variants(operation, case):
                self._send(operation, variant)

        answers_hold()

    def _variants(self, operation: Any, case: Case[Any]) -> Iterator[Case[Any]]:
        """Yield a case as it was generated, and with one thing in it that nobody expects."""
        yield case
        for _ in range(_VARIANTS):
            parts = ("path_parameters", "headers", "cookies", "query", "body")
            given_parts = {name: copy.deepcopy(getattr(case, name)) for name in parts}
            places = [name for name in ("body", "query") if isinstance(getattr(case, name), dict)]
            if not places or self._random.random() < 0.2:
                given_parts["headers"][self._random.choice(_HEADERS)] = self._random.choice(_ODD_HEADERS)
            else:
                place = self._random.choice(places)
                if place == "body":
                    given_parts["body"] = self._spoilt(given_parts["body"])
                else:
                    name = self._random.choice([*given_parts["query"], "unknown", "page_size", "page_token"])
                    given_parts["query"][name] = str(self._random.choice(_ODD))
            if case.media_type is None:
                del given_parts["body"]
            else:
                given_parts["media_type"] = case.media_type
            yield operation.Case(method=case.method, **given_parts)

    def _spoilt(self, value: Any) -> Any:
        """Replace, drop or add something in a JSON value, at any depth."""
        at = self._random
        if isinstance(value, dict) and value and at.random() < 0.85:
            name = at.choice(sorted(value))
            if at.random() < 0.2:
                del value[name]
            else:
                value[name] = self._spoilt(value[name])
            return value
        if isinstance(value, list) and value and at.random() < 0.7:
            index = at.randrange(len(value))
            value[index] = self._spoilt(value[index])
            return value
        return copy.deepcopy(at.choice(_ODD))

    def _send(self, operation: Any, case: Case[Any]) -> None:
        self.sent += 1
        case.headers.pop("Prefer", None)
        headers = {"Authorization": f"Bearer {self._mq.key}"}
        if self._random.random() < 0.15:
            headers["Prefer"] = "wait=1"
        try:
            answer = case.call(base_url=self._mq.url, headers=headers)
        except Exception as error:
            self._note(operation, "no answer", case, f"{type(error).__name__}: {error}")
            return
        self.statuses[answer.status_code] += 1
        documented = {*operation.definition.raw["responses"]}
        if str(answer.status_code) not in documented and answer.status_code not in GENERAL:
            self._note(operation, f"undocumented {answer.status_code}", case, answer.text[:500])
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Exception, BaseExceptionGroup) as error:
            inner = getattr(error, "exceptions", [error])
            kind = "; ".join(sorted({type(one).__name__ for one in inner})) + f" {answer.status_code}"
            self._note(operation, kind, case, "\n".join(str(one)[:800] for one in inner))

    def _note(self, operation: Any, kind: str, case: Case[Any], what: str) -> None:
        if (_name(operation), kind) not in self.failures:
            self.failures[_name(operation), kind] = f"{_shown(case)}\n{what}"
            print(f"        FOUND {_name(operation)}: {kind}", flush=True)


def _name(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])


def _shown(case: Case[Any]) -> str:
    """Return what was sent, without the key."""
    parts = {name: getattr(case, name) for name in ("path_parameters", "query", "headers", "body")}
    sent = {name: dict(part) if name == "headers" and part else part for name, part in parts.items()}
    return f"{case.method} {case.path} {json.dumps(sent, default=str)[:800]}"


def _cannot_be_broken(error: Exception) -> bool:
    """Return whether an operation takes nothing that could be wrong."""
    return type(error).__name__ in ("Unsatisfiable", "SkipTest", "Skip")


def report(fuzz: Fuzz, seconds: float) -> Iterator[str]:
    """Yield the lines of a report."""
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(fuzz.statuses.items()))
    yield f"{fuzz.sent} cases in {seconds:.0f} s; {statuses}"
    for (operation, kind), what in sorted(fuzz.failures.items()):
        yield f"\n{operation}: {kind}\n{what}"
    yield f"{len(fuzz.failures)} kinds of failure"


def main() -> int:
    """Run the long form."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cases", type=int, default=20_000)
    asked.add_argument("--seed", type=int, default=1)
    given_options = asked.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mqfuzz") as folder:
        with running(Path(folder), webhook_allow_private=True, max_wait_s=20) as mq:
            fuzz = Fuzz(mq, given_options.cases, given_options.seed)
            fuzz.run()
            assert mq.get("//readyz", key="").status == 200
        for line in report(fuzz, time.monotonic() - began):
            print(line)
    return 1 if fuzz.failures else 0


if __name__ == "__main__":
    sys.exit(main())
