"""Projects, artifacts, tasks and conflicts, as they come in and go out."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.schemas.moments import PastPageQuery
from api.schemas.psmp_parts import ClaimsField, DependencySchema, ReadSchema, RequirementSchema, pointers
from api.schemas.strict import Boolean, Integer, Moment, choice, text
from metaqore.errors import InvalidInput
from metaqore.psmp.catalogue import MODES, Severity, Strategy
from metaqore.psmp.declaration import (
    LABELS,
    MAX_DEPENDENCIES,
    MAX_NAME,
    MAX_READS,
    check_owned,
)
from metaqore.psmp.manifest import MAX_REQUIREMENTS

_MODE = "strict blocks on any conflict; adaptive resolves where that is safe; playground only records"
_TYPE = "Use lower case letters, digits, '_', '.' and '-', a letter first, at most 64."
CONVERSATION = "Free. The id under conversation counts this as a turn of that conversation, which the policy bounds"
CONFLICT_STATES = ("open", "escalated", "resolved", "recorded")


def objects(**options: Any) -> fields.Dict:
    """A JSON object."""
    return fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), **options)


def state_of(**options: Any) -> fields.String:
    """A state of a lifecycle; which there are is said by the policy."""
    error = "Use lower case letters, digits and '_', a letter first, at most 64."
    return fields.String(validate=validate.Regexp(r"[a-z][a-z0-9_]{0,63}\Z", error=error), **options)


class ProjectSchema(Schema):
    """A project."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    owner = fields.String(required=True)
    mode = choice(*MODES, required=True)
    state = state_of(required=True)
    metadata = objects(required=True)
    version = Integer(required=True, metadata={"description": "Also its ETag"})
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    position = Integer(metadata={"description": "Where its history stands; each decision about it is one position"})


class NewProjectSchema(Schema):
    """What a new project needs."""

    name = text(200, required=True)
    description = fields.String(validate=validate.Length(max=10_000))
    owner = text(200)
    mode = choice(*MODES, metadata={"description": _MODE})
    metadata = objects()


class ProjectPatchSchema(Schema):
    """What changes of a project (RFC 7396: what is not named stays, null takes away)."""

    name = text(200)
    description = fields.String(validate=validate.Length(max=10_000), allow_none=True)
    owner = text(200)
    mode = choice(*MODES)
    state = state_of()
    metadata = objects(allow_none=True)


class ProjectQuery(PastPageQuery):
    """Which projects."""

    state = state_of(load_default=None)


class DeclareSchema(Schema):
    """A declaration: the work, what it started from and what it needs."""

    project = fields.String(required=True, validate=validate.Length(1, 64))
    type = fields.String(
        required=True, validate=validate.Regexp(r"[a-z][a-z0-9_.-]{0,63}\Z", error=_TYPE),
        metadata={"example": "code"},
    )  # fmt: skip
    name = text(MAX_NAME, required=True, metadata={"example": "src/parser.py"})
    content = fields.Raw(required=True, allow_none=True, metadata={"description": "Any JSON value"})
    base_version = Integer(
        allow_none=True, validate=validate.Range(0),
        metadata={"description": "The version this work started from; absent, null or 0: it is new"},
    )  # fmt: skip
    depends_on = fields.List(fields.Nested(DependencySchema), validate=validate.Length(max=MAX_DEPENDENCIES))
    requires = fields.List(fields.Nested(RequirementSchema), validate=validate.Length(max=MAX_REQUIREMENTS))
    claims = ClaimsField(metadata={"description": "Paths; or paths and resources"})
    read_set = fields.List(fields.Nested(ReadSchema), validate=validate.Length(max=MAX_READS))
    owns = pointers(allow_none=True, metadata={"description": "The parts of which the author is the manager"})
    force = pointers(metadata={"description": "Those of them that are taken over from another manager"})
    intent = fields.String(
        allow_none=True, validate=validate.Length(1, 64), metadata={"description": "The announced intent it fulfils"}
    )  # fmt: skip
    label = choice(*LABELS, allow_none=True)
    provenance = objects()
    metadata = objects(metadata={"description": CONVERSATION})
    if_match = Integer(
        allow_none=True, validate=validate.Range(0),
        metadata={"description": "As If-Match: where the head is another version (0: none), the answer is 412"},
    )  # fmt: skip
    replaces = fields.String(
        allow_none=True, validate=validate.Length(1, 64),
        metadata={"description": "Your own blocked proposal whose place this takes: admitted, that one is closed; "
                  "not admitted, the answer is 412 and nothing is kept"},
    )  # fmt: skip

    @validates_schema
    def _owns_what_is_there(self, data: dict[str, Any], **_: Any) -> None:
        try:
            check_owned(data["content"], data.get("owns") or ())
        except InvalidInput as error:
            raise ValidationError(error.message.removeprefix("owns: "), "owns") from error


class DeclareBatchSchema(Schema):
    """Many declarations: each is accepted or refused by itself."""

    items = fields.List(fields.Nested(DeclareSchema), required=True, validate=validate.Length(1, 500))


class ArtifactHeadSchema(Schema):
    """An artifact, without its content."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    type = fields.String(required=True)
    name = fields.String(required=True)
    version = Integer(required=True, metadata={"description": "Also its ETag"})
    state = state_of(required=True)
    content_hash = fields.String(required=True)
    label = choice(*LABELS, required=True)
    created_by = fields.String(required=True)
    updated_by = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)


class VersionBodySchema(Schema):
    """What a version carries."""

    content = fields.Raw(allow_none=True)
    base_version = Integer(allow_none=True)
    depends_on = fields.Raw(attribute="body.depends_on")
    requires = fields.Raw(attribute="body.requires")
    claims = fields.Raw(attribute="body.claims")
    read_set = fields.Raw(attribute="body.read_set")
    owns = fields.Raw(attribute="body.owns")
    intent = fields.Raw(attribute="body.intent")
    metadata = fields.Raw(attribute="body.metadata")
    provenance = fields.Raw(attribute="body.provenance")
    request = fields.String(attribute="request_id", metadata={"description": "The request that made this version"})


class ArtifactSchema(ArtifactHeadSchema, VersionBodySchema):
    """An artifact with the content of its present version."""


class VersionHeadSchema(Schema):
    """A version, without its content."""

    artifact = fields.String(required=True)
    version = Integer(required=True)
    content_hash = fields.String(required=True)
    label = fields.String(required=True)
    base_version = Integer(allow_none=True)
    request = fields.String(attribute="request_id")
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    position = Integer(metadata={"description": "Since when it is there, in the project's history"})


class VersionSchema(VersionHeadSchema, VersionBodySchema):
    """A version with its content."""


class ArtifactQuery(PastPageQuery):
    """Which artifacts."""

    project = fields.String(required=True)
    type = fields.String(load_default=None)
    name = fields.String(load_default=None)
    state = state_of(load_default=None)


class TransitionSchema(Schema):
    """Where an artifact is to go along its lifecycle."""

    to = state_of(required=True)


class TaskSchema(Schema):
    """A task."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    title = fields.String(required=True)
    state = state_of(required=True)
    assigned_to = fields.String(allow_none=True)
    depends_on = fields.List(fields.String(), required=True)
    metadata = objects(required=True)
    version = Integer(required=True, metadata={"description": "Also its ETag"})
    created_by = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)


class NewTaskSchema(Schema):
    """What a new task needs."""

    project = fields.String(required=True, validate=validate.Length(1, 64))
    title = text(200, required=True)
    assigned_to = text(200, allow_none=True)
    depends_on = fields.List(fields.String(), validate=validate.Length(max=MAX_DEPENDENCIES))
    metadata = objects(metadata={"description": CONVERSATION})


class TaskPatchSchema(Schema):
    """What changes of a task (RFC 7396)."""

    title = text(200)
    state = state_of()
    assigned_to = text(200, allow_none=True)
    depends_on = fields.List(fields.String(), validate=validate.Length(max=MAX_DEPENDENCIES))
    metadata = objects(allow_none=True)


class TaskQuery(PastPageQuery):
    """Which tasks."""

    project = fields.String(required=True)
    state = state_of(load_default=None)
    assigned_to = fields.String(load_default=None)


class ConflictSchema(Schema):
    """A conflict: what was found, what proves it and what became of it."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    proposal = fields.String(allow_none=True)
    artifact = fields.String(allow_none=True)
    request = fields.String(attribute="request_id")
    rule = fields.String(required=True)
    severity = choice(*Severity, required=True)
    strategy = choice(*Strategy, required=True)
    mode = fields.String(required=True)
    state = choice(*CONFLICT_STATES, required=True)
    evidence = objects(required=True)
    resolution = fields.String(allow_none=True)
    resolved_by = fields.String(allow_none=True)
    resolved_at = Moment(allow_none=True)
    created_at = Moment(required=True)
    applies = Boolean(allow_none=True, metadata={
        "description": "Whether it is in the way of its proposal at this moment; null of one that is resolved, as of "
                       "an earlier moment, and where there was no time to look"})  # fmt: skip
    obsolete_reason = fields.String(allow_none=True, metadata={"description": "Why it does not apply any more"})

    class Meta:
        """``class`` is a word of Python, so the field is named here."""

        include = {"class": fields.String(required=True)}  # noqa: RUF012


class ConflictQuery(PastPageQuery):
    """Which conflicts."""

    project = fields.String(load_default=None)
    state = choice(*CONFLICT_STATES, load_default=None)
    severity = choice(*Severity, load_default=None)

    class Meta:
        """See ``ConflictSchema``."""

        include = {"class": fields.String(load_default=None)}  # noqa: RUF012


class ResolveSchema(Schema):
    """How a conflict is to be resolved."""

    strategy = choice(*Strategy, load_default="retry")
    reason = fields.String(load_default="", validate=validate.Length(max=2000), metadata={
        "description": "Needed for override; kept with the version"})  # fmt: skip
    expires_in_s = Integer(
        validate=validate.Range(60, 30 * 86_400),
        metadata={"description": "With escalate: how long a person has to answer; a day where it is not given"},
    )  # fmt: skip
