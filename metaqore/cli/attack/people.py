"""Who takes part in an attack: callers of the API with keys of their own, and what the API answers them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import urllib3

from metaqore.cli.attack.told import NAME, Told
from metaqore.errors import MetaQoreError

#: What became of a call: let through, vetoed by SecureGateway, blocked by PSMP, refused at the door, or failed.
Fate = Literal["passed", "vetoed", "blocked", "refused", "failed"]
#: ``admin`` has the key that was given; ``agent`` and ``other`` have narrow ones; ``stranger`` is of another
#: organization; ``nobody`` has none.
PEOPLE = ("admin", "agent", "other", "stranger", "nobody")
#: Scopes of an agent: what it needs and no more.
AGENT_SCOPES = ("artifacts:read", "artifacts:write", "conflicts:resolve", "projects:read", "requests:read",
                "llm:generate", "security:assess", "tasks:write")  # fmt: skip
WAIT_S, PATIENCE_S = 20, 120


class NoSuchPerson(MetaQoreError):
    """The installation that is attacked has nobody to play this part."""

    code = "no_such_person"


class NoAnswer(MetaQoreError):
    """The API cannot be reached, or answers what is no JSON."""

    code = "no_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with its parsed body, after its request was decided."""

    status: int
    body: Any

    @property
    def fate(self) -> Fate:
        """What became of the call."""
        if self.status < 300:
            return "passed"
        code = self.body.get("code") if isinstance(self.body, dict) else None
        if self.status >= 500:
            return "failed"
        return {"vetoed": "vetoed", "blocked": "blocked"}.get(code or "", "refused")  # type: ignore[return-value]

    @property
    def request(self) -> str:
        """The id of the governance request that it was; "" where it was none, or was refused at the door."""
        body: dict[str, Any] = self.body if isinstance(self.body, dict) else {}
        found = str(body.get("request") or body.get("id") or "")
        return found if found.startswith("req_") else ""

    @property
    def decision(self) -> str:
        """The id of SecureGateway's decision on it; "" where there is none."""
        body: dict[str, Any] = self.body if isinstance(self.body, dict) else {}
        return str(_decision(body).get("id") or "")

    @property
    def reason(self) -> str:
        """Why it was not let through: rules of the veto, classes of the conflicts, or the code of the problem."""
        body: dict[str, Any] = self.body if isinstance(self.body, dict) else {}
        decision = _decision(body)
        report = body.get("blocking_report") or {}
        rules = [_with_signs(str(rule), decision) for rule in decision.get("rules", ())]
        classes = [str(each.get("class")) for each in report.get("conflicts", ())]
        return ", ".join(rules or classes) or f"{self.status} {body.get('code', '')}".strip()


def _with_signs(rule: str, decision: Mapping[str, Any]) -> str:
    """Return a rule of a decision, for threats with what they were recognised by."""
    signs = sorted({str(each["rule"]) for each in decision.get("threats", ()) if rule == f"threat.{each['family']}"})
    return f"{rule} ({' '.join(signs)})" if signs else rule


def _decision(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found = body.get("decision") or (body.get("result") or {}).get("decision") or {}
    return found.get("decision", found)  # type: ignore[no-any-return]


class Api:
    """The API of a running engine.

    Args:
        url: its base URL, without ``/api/v1``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=64, retries=False)

    def call(
        self, method: str, path: str, key: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call the API and wait until what was asked is decided.

        Raises:
            NoAnswer: there is no answer, or no decision in time.
        """
        answer = self._send(method, path, key, body, {"Prefer": f"wait={WAIT_S}", **(headers or {})})
        began = time.monotonic()
        while answer.status == 202:
            if time.monotonic() - began > PATIENCE_S:
                raise NoAnswer(f"{method} {path}: request {answer.body['id']} is not decided after {PATIENCE_S} s")
            answer = self._send("GET", f"/requests/{answer.body['id']}", key, None, {"Prefer": f"wait={WAIT_S}"})
            answer = _as_answered(answer)
        return answer

    def _send(self, method: str, path: str, key: str, body: Any, headers: Mapping[str, str]) -> Answer:
        sent = dict(headers)
        if key:
            sent["Authorization"] = f"Bearer {key}"
        data = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            data = msgspec.json.encode(body)
        url = f"{self.url}/api/v1{path}"
        try:
            answer = self._pool.request(method, url, body=data, headers=sent, timeout=WAIT_S + 30.0)
            return Answer(answer.status, msgspec.json.decode(answer.data) if answer.data else None)
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError) as error:
            raise NoAnswer(f"{method} {url}: {type(error).__name__}: {error}") from error


class People:
    """The people of one run; keys are made when they are first needed.

    Args:
        admin: a key that may do everything, or at least what agents may.
        strangers: a key of another organization; "" where there is none.
        provider: a model provider of the installation that says what it is told; None where there is none.
        known: keys of people that need not be made.
    """

    def __init__(
        self, api: Api, admin: str, strangers: str = "", provider: Told | None = None,
        known: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.api = api
        self._provider = provider
        self._keys = {"admin": admin, "nobody": "", **({"stranger": strangers} if strangers else {}), **(known or {})}
        self._guard = threading.Lock()

    def told(self, word: str, text: str) -> None:
        """Have the provider answer with ``text`` to a prompt that has ``word`` in it.

        Raises:
            NoSuchPerson: there is no such provider.
        """
        if self._provider is None:
            raise NoSuchPerson(
                "no provider there says what it is told; add one to its providers.yaml, and give --listen"
            )
        self._provider.say(word, text)

    def is_accepted(self) -> str | None:
        """Return why the key that was given is not accepted at all; None where it is.

        Raises:
            NoAnswer: the API cannot be reached.
        """
        answer = self.api.call("GET", "/projects", self._keys["admin"])
        return answer.reason if answer.status == 401 else None

    def hears(self) -> str | None:
        """Return why the installation does not pass on what its provider ``told`` says; None where it does."""
        word = f"heard-{uuid.uuid4().hex}"
        self.told(word, f"Yes, {word}.")
        body = {"provider": NAME, "prompt": f"Do you hear me? This is {word}."}
        answer = self.api.call("POST", "/llm/generate", self.key("agent"), body)
        if answer.fate != "passed":
            return answer.reason
        said = str((answer.body.get("result") or {}).get("text"))
        return None if said == f"Yes, {word}." else "another provider answers by that name"

    def key(self, name: str) -> str:
        """Return somebody's key.

        Raises:
            NoSuchPerson: there is none, and none can be made with the key that was given.
        """
        with self._guard:
            if name not in self._keys:
                if name not in ("agent", "other"):
                    raise NoSuchPerson(
                        f"there is no {name}; known are {', '.join(PEOPLE)}, a stranger by --stranger-key"
                    )
                body = {"name": f"attack-{name}", "principal": f"attack-{name}", "scopes": list(AGENT_SCOPES)}
                made = self.api.call("POST", "/keys", self._keys["admin"], body)
                if made.fate != "passed" and name == "agent":
                    # Whoever may make no keys is an agent itself.
                    made = Answer(200, {"secret": self._keys["admin"]})
                if made.fate != "passed":
                    raise NoSuchPerson(f"a key for {name} cannot be made: {made.reason}; give a key with keys:manage")
                self._keys[name] = made.body["secret"]
            return self._keys[name]


def _as_answered(answer: Answer) -> Answer:
    """Return a request that was polled as the answer that waiting at the door would have given."""
    request = answer.body
    if answer.status != 200 or request["state"] in ("accepted", "running"):
        return Answer(202, request) if answer.status == 200 else answer
    result, verdict = request.get("result") or {}, request.get("verdict")
    if request["state"] == "succeeded":
        status = {"blocked": 409, "vetoed": 403}.get(verdict, 200)
        return Answer(status, {**request, **({} if status == 200 else {**result, "code": verdict})})
    error = request.get("error") or {}
    return Answer(422 if request["state"] == "failed" else 500, {"code": "failed", **error})
