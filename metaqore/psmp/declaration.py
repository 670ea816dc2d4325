"""Reading a declaration: parse, check, hash. Pure, and done before the transaction begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.canonical import canonical_json, sha256_hex
from metaqore.errors import InvalidInput
from metaqore.messages import Request
from metaqore.psmp.globs import normalise
from metaqore.psmp.manifest import check_requirements
from metaqore.psmp.model import Claims, Declaration, Dependency, Read, Studied
from metaqore.psmp.ownership import ABSENT, canonical_pointer, value_at
from metaqore.psmp.policy import Policy
from metaqore.psmp.sensitivity import Look
from metaqore.psmp.traits import SENSITIVE, traits_of
from metaqore.psmp.version_range import parse_range

_TYPE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
#: RFC 6901.
POINTER = r"(?:/(?:[^~/]|~[01])*)*"
_POINTER = re.compile(POINTER)
#: Of what has no inputs and is declared without one.
DEFAULT_LABEL = "INTERNAL"
LABELS = ("PUBLIC", "INTERNAL", "SENSITIVE", "CRITICAL")
MAX_NAME = 512
#: A content with fewer different characters among the first of its canonical JSON says too little to be recognised.
FEWEST_CHARACTERS, LOOKED_AT = 12, 128
MAX_DEPENDENCIES = 256
MAX_READS = 256
MAX_CLAIMS = 256
MAX_CLAIM = 512
MAX_POINTERS = 256

_encode = msgspec.json.Encoder().encode


def study(request: Request, *, policy: Policy) -> Studied:
    """Parse, check and hash a declaration.

    Raises:
        InvalidInput: the payload is no valid declaration; the message has the JSON path.
    """
    try:
        declaration = msgspec.convert(request.payload, Declaration)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"artifact.declare: {error}") from error
    check(declaration)
    policy.check_type(declaration.type)
    return studied(declaration, policy.look)


def studied(declaration: Declaration, look: Look | None = None) -> Studied:
    """Hash a declaration that was checked.

    Args:
        look: tells what the content holds; None where that is known already.
    """
    content = canonical_json(declaration.content)
    text = content.decode()
    trivial = len(set(text[:LOOKED_AT])) < FEWEST_CHARACTERS
    traits = traits_of(declaration, trivial=trivial)
    looked = look(declaration.content, text, declaration.label) if look is not None else None
    if looked is not None:
        traits |= SENSITIVE
    return Studied(declaration, text, sha256_hex(content), body_of(declaration), traits, trivial, looked)


def studied_again(payload: dict[str, Any], base_version: int | None, look: Look | None) -> Studied:
    """Return a kept declaration as if it were sent now, on another base.

    Raises:
        InvalidInput: the kept payload is no declaration (it was stored by another release).
    """
    try:
        declaration = msgspec.convert(payload, Declaration)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the blocked declaration cannot be read: {error}") from error
    if base_version is not None:
        declaration = msgspec.structs.replace(declaration, base_version=base_version)
    return studied(declaration, look)


def body_of(declaration: Declaration) -> str:
    """Return what a version keeps beside its content, as JSON text."""
    body: dict[str, Any] = {
        "depends_on": declaration.depends_on,
        "requires": declaration.requires,
        "claims": declaration.claims,
        "metadata": declaration.metadata,
    }
    if declaration.read_set:
        body["read_set"] = declaration.read_set
    if declaration.owns is not None:
        body["owns"] = declaration.owns
    if declaration.force:
        body["force"] = declaration.force
    if declaration.intent is not None:
        body["intent"] = declaration.intent
    if declaration.provenance:
        body["provenance"] = {"declared": declaration.provenance}
    return _encode(body).decode()


def with_provenance(body: str, provenance: dict[str, Any]) -> str:
    """Return the body with what the engine knows of the version's making; what the author said stays under it."""
    decoded = msgspec.json.decode(body)
    decoded["provenance"] = {**decoded.get("provenance", {}), **provenance}
    return _encode(decoded).decode()


def check(declaration: Declaration) -> None:
    """Refuse what no project could admit.

    Raises:
        InvalidInput: says which field, its value and what is allowed.
    """
    if not _TYPE.fullmatch(declaration.type):
        raise InvalidInput(f"type {declaration.type!r}: use lower case letters, digits, '_', '.', '-' (at most 64)")
    if not declaration.name.strip() or len(declaration.name) > MAX_NAME:
        raise InvalidInput(f"name: 1 to {MAX_NAME} characters that are not all blank")
    if declaration.label is not None and declaration.label not in LABELS:
        raise InvalidInput(f"label {declaration.label!r}: one of {', '.join(LABELS)}")
    if declaration.base_version is not None and declaration.base_version < 0:
        raise InvalidInput("base_version: 0 or more")
    if declaration.depends_on:
        _check_dependencies(declaration.depends_on)
    if declaration.requires:
        check_requirements(declaration.requires)
    if declaration.read_set:
        _check_reads(declaration.read_set)
    if declaration.claims:
        check_claims(declaration.claimed)
    if declaration.owns or declaration.force:
        _check_pointers(declaration)
    _check_conditions(declaration)


def _check_conditions(declaration: Declaration) -> None:
    if declaration.intent is not None and not 1 <= len(declaration.intent) <= 64:
        raise InvalidInput("intent: the id of an announced intent")
    if declaration.if_match is not None and declaration.if_match < 0:
        raise InvalidInput("if_match: 0 or more")
    if declaration.replaces is not None and not 1 <= len(declaration.replaces) <= 64:
        raise InvalidInput("replaces: the id of a blocked proposal")


def _check_dependencies(dependencies: Sequence[Dependency]) -> None:
    if len(dependencies) > MAX_DEPENDENCIES:
        raise InvalidInput(f"depends_on: at most {MAX_DEPENDENCIES} entries")
    for index, dependency in enumerate(dependencies):
        _one_way(f"depends_on[{index}]", dependency)
        if isinstance(dependency.version, str):
            try:
                parse_range(dependency.version)
            except ValueError as error:
                raise InvalidInput(f"depends_on[{index}].version: {error}") from error


def _check_reads(reads: Sequence[Read]) -> None:
    if len(reads) > MAX_READS:
        raise InvalidInput(f"read_set: at most {MAX_READS} entries")
    for index, read in enumerate(reads):
        _one_way(f"read_set[{index}]", read)
        if read.version < 1:
            raise InvalidInput(f"read_set[{index}].version: 1 or more")


def _one_way(place: str, reference: Dependency | Read) -> None:
    by_name = reference.type is not None and reference.name is not None
    if (reference.artifact is None) != by_name:
        raise InvalidInput(f"{place}: give either artifact, or type and name")


def check_claims(claims: Claims) -> None:
    """Refuse claims that name nothing.

    Raises:
        InvalidInput: which one, and what is wrong with it.
    """
    if len(claims.paths) + len(claims.resources) > MAX_CLAIMS:
        raise InvalidInput(f"claims: at most {MAX_CLAIMS} paths and resources")
    for claim in (*claims.paths, *claims.resources):
        if not claim.strip() or len(claim) > MAX_CLAIM:
            raise InvalidInput(f"claims: each of 1 to {MAX_CLAIM} characters that are not all blank")
    for index, path in enumerate(claims.paths):
        try:
            normalise(path)
        except ValueError as error:
            raise InvalidInput(f"claims.paths[{index}]: {error}") from error


def _check_pointers(declaration: Declaration) -> None:
    for field in ("owns", "force"):
        pointers = getattr(declaration, field) or ()
        if len(pointers) > MAX_POINTERS:
            raise InvalidInput(f"{field}: at most {MAX_POINTERS} entries")
        for pointer in pointers:
            if len(pointer) > MAX_CLAIM or not _POINTER.fullmatch(pointer):
                raise InvalidInput(f"{field}: {pointer[:80]!r} is no JSON pointer (RFC 6901), e.g. /servers/0/port")
    check_owned(declaration.content, declaration.owns or ())


def check_owned(content: Any, owns: Sequence[str]) -> None:
    """Refuse to manage what is not there.

    Raises:
        InvalidInput: which pointer names nothing in the content.
    """
    for pointer in owns:
        if value_at(content, canonical_pointer(content, pointer)) is ABSENT:
            raise InvalidInput(f"owns: the content has nothing at {pointer[:80]!r}, so nobody can manage it")
