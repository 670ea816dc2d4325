"""Which specialist would answer a model call, and what it says. Asked before any transaction; it decides nothing.

A specialist is asked about calls of its own organization, in projects of which it learnt enough, with exactly the
signature of its pattern; it answers inside its domain, at or above the confidence that its certificate names.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import structlog

from metaqore.errors import MetaQoreError
from metaqore.hmcp.artefact import Loaded, load
from metaqore.hmcp.model import SENSITIVITIES, Certificate
from metaqore.hmcp.outputs import canonical_answer
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.ports import Question, Shelf
from metaqore.hmcp.rules import SpecialistState
from metaqore.hmcp.signature import fits
from metaqore.hmcp.watch import least_proof

log = structlog.get_logger(__name__)

#: Whether specialists are asked at all; compared with their teacher only; answer once that has shown that they keep to
#: their certificate; or answer as soon as they have passed the gate.
Mode = Literal["off", "shadow", "proven", "on"]
#: Specialists that a process keeps in memory.
MAX_LOADED = 16
_DAY_MS = 86_400_000


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one specialist says to one call."""

    specialist: str
    version: int
    pattern: str
    digest: str
    answer: str
    #: 0 to 1; 0 outside of its domain.
    confidence: float
    #: Whether confidence and domain are what its certificate asks for.
    routed: bool
    certificate: Certificate
    #: Highest label among what it learnt from, which its answers inherit; and the labels of calls that it may answer.
    sensitivity: str
    labels: frozenset[str]
    #: Whether it may answer in its teacher's place; else it is only compared.
    serves: bool
    #: Whether this call was drawn for its teacher to answer, so that both can be compared.
    audited: bool
    #: Whether enough was seen of it to be proven.
    due: bool


class Router:
    """Asks specialists, many calls at once. Safe to use from several threads."""

    def __init__(self, shelf: Shelf, policy: Policy, mode: Mode, clock: Callable[[], int]) -> None:
        self._shelf = shelf
        self._policy = policy
        self._mode = mode
        self._clock = clock
        #: Digest → specialist, the one used last at the end.
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        #: What the log was told already, so that it is not told with every call.
        self._told: set[tuple[str, str]] = set()
        self._guard = threading.Lock()
        self._least = least_proof(policy.certify.alpha, policy.certify.delta)

    def look(self, questions: Sequence[Question]) -> list[list[Sight]]:
        """Return for each call what the specialists for it say: the one that answers, and one that wants to.

        A specialist that cannot be used is left out, and the log says why.
        """
        found: list[list[Sight]] = [[] for _ in questions]
        if self._mode == "off" or not questions:
            return found
        organizations = {question.organization for question in questions}
        rows = self._shelf.on_duty(organizations)
        self._forget(organizations, {row["digest"] for row in rows})
        own: dict[str, list[int]] = defaultdict(list)
        for at, question in enumerate(questions):
            own[question.organization].append(at)
        for row in rows:
            specialist = self._usable(row)
            if specialist is None:
                continue
            mine = [at for at in own[row["organization"]] if _asked(specialist, questions[at])]
            if mine:
                self._ask(row, specialist, [questions[at] for at in mine], [found[at] for at in mine])
        return found

    def agrees(self, said: str, answer: str) -> bool:
        """Return whether a teacher's words mean a specialist's answer."""
        return canonical_answer(said) == answer

    def _ask(
        self, row: Mapping[str, Any], specialist: Loaded, questions: Sequence[Question], found: Sequence[list[Sight]]
    ) -> None:
        """Have one specialist answer all its calls in one go, and add what it says to each call's sights."""
        certificate = specialist.specialist.certificate
        if certificate is None:
            return
        state, sensitivity = row["state"], specialist.specialist.sensitivity
        for question, says, sights in zip(
            questions, specialist.predict([question.prompt for question in questions]), found, strict=True
        ):
            sights.append(
                Sight(
                    specialist=row["id"], version=row["version"], pattern=row["pattern"], digest=row["digest"],
                    answer=says.answer, confidence=says.confidence, routed=says.routed, certificate=certificate,
                    sensitivity=sensitivity, labels=answerable(sensitivity, self._policy.scope.sensitivity_max),
                    serves=state == SpecialistState.ACTIVE and self._mode in ("proven", "on"),
                    audited=drawn(question.request_id, self._policy.discover.trigger.audit_rate),
                    due=state == SpecialistState.PROPOSED and self._mode != "shadow" and row["seen"] + 1 >= self._least,
                )
            )  # fmt: skip

    def _usable(self, row: Mapping[str, Any]) -> Loaded | None:
        """Return a specialist that may be asked: young enough, certified for the policy's alpha, and what it says."""
        route, certify = self._policy.route, self._policy.certify
        if row["digest"] is None or row["created_at"] < self._clock() - route.ttl_days * _DAY_MS:
            return None
        try:
            specialist = self._load(row)
        except MetaQoreError as error:
            self._tell(row["id"], error.code)
            return None
        held = specialist.specialist.certificate if specialist is not None else None
        return specialist if held is not None and held.alpha <= certify.alpha and held.delta <= certify.delta else None

    def _load(self, row: Mapping[str, Any]) -> Loaded | None:
        digest = row["digest"]
        with self._guard:
            if digest in self._loaded:
                self._loaded.move_to_end(digest)
                return self._loaded[digest]
        artefact = self._shelf.artefact(row["id"])
        if artefact is None:
            return None
        if artefact.digest != digest:
            self._tell(row["id"], "digest")
            return None
        loaded = load(artefact)
        if loaded.specialist.organization != row["organization"]:
            self._tell(row["id"], "organization")
            return None
        with self._guard:
            self._loaded[digest] = loaded
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        return loaded

    def _tell(self, specialist: str, reason: str) -> None:
        if (specialist, reason) not in self._told:
            self._told.add((specialist, reason))
            log.error("specialist_unusable", specialist=specialist, reason=reason)

    def _forget(self, organizations: set[str], digests: set[str]) -> None:
        """Let go of specialists of these organizations that are on duty no more, those made from erased data first."""
        with self._guard:
            for digest, loaded in list(self._loaded.items()):
                if loaded.specialist.organization in organizations and digest not in digests:
                    del self._loaded[digest]


def answerable(sensitivity: str, ceiling: str) -> frozenset[str]:
    """Return the labels of calls that a specialist may answer: none above what specialists may look at, and none at all
    where it has learnt from more than that. Its answers have the label of what it learnt from, at least.
    """
    allowed = SENSITIVITIES[: SENSITIVITIES.index(ceiling) + 1]
    return frozenset(allowed if sensitivity in allowed else ())


def drawn(request_id: str, rate: float) -> bool:
    """Return whether a call is in the sample that the teacher answers; the same call always is, or never."""
    return int.from_bytes(hashlib.sha256(f"audit/{request_id}".encode()).digest()[:8]) < rate * 2**64


def _asked(specialist: Loaded, question: Question) -> bool:
    manifest = specialist.specialist
    return (question.project or "") in manifest.projects and fits(
        manifest.signature, question.template, question.prompt
    )
