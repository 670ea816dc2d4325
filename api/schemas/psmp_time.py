"""Checkpoints, differences between two moments, restores, and decisions that are only tried."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.moments import MOMENT, Moment
from api.schemas.psmp import DeclareSchema, objects
from api.schemas.strict import Integer, PageQuery, choice, text
from api.schemas.strict import Moment as Time
from metaqore.psmp.catalogue import MODES

_NAME = r"[A-Za-z][A-Za-z0-9._-]{0,99}\Z"
_NAME_SAID = "Use letters, digits, '.', '_' and '-', a letter first, at most 100."


class ProjectCheckpointSchema(Schema):
    """A name for a position."""

    id = fields.String(required=True)
    project = fields.String(required=True)
    name = fields.String(required=True)
    note = fields.String(required=True)
    position = Integer(required=True, metadata={"description": "The position in the project's history that it names"})
    created_by = fields.String(required=True)
    created_at = Time(required=True)
    expires_at = Time(required=True, allow_none=True)


class NewProjectCheckpointSchema(Schema):
    """What a new checkpoint needs."""

    name = fields.String(
        required=True, validate=validate.Regexp(_NAME, error=_NAME_SAID), metadata={"example": "before-refactoring"}
    )
    note = fields.String(validate=validate.Length(max=2000))
    at = Moment(allow_none=True, metadata={"description": f"{MOMENT}; without it, now"})
    expires_at = fields.AwareDateTime(
        format="iso", allow_none=True, metadata={"description": "When it may be deleted by itself; RFC 3339"}
    )


class DiffQuery(PageQuery):
    """Between which moments."""

    artifact = fields.String(
        load_default=None, validate=validate.Length(1, 64),
        metadata={"description": "Only this artifact, with its content's differences"},
    )  # fmt: skip

    class Meta:
        """``from`` is a word of Python, so the fields are named here."""

        include = {  # noqa: RUF012
            "from": fields.String(required=True, validate=validate.Length(1, 128), metadata={"description": MOMENT}),
            "to": fields.String(
                load_default=None, validate=validate.Length(1, 128),
                metadata={"description": f"{MOMENT}; without it, now"},
            ),
        }  # fmt: skip


class MemberSchema(Schema):
    """An artifact or a task at one of the two moments."""

    version = Integer(required=True)
    state = fields.String(required=True)
    content_hash = fields.String(allow_none=True)
    label = fields.String(allow_none=True)


class DifferenceSchema(Schema):
    """A member that is not the same at both moments."""

    kind = choice("artifact", "task", required=True)
    id = fields.String(required=True)
    title = fields.String(required=True)
    change = choice("added", "removed", "changed", "moved", required=True)
    differs = fields.List(fields.String(), required=True, metadata={"description": "What is another one than before"})

    class Meta:
        """See ``DiffQuery``."""

        include = {  # noqa: RUF012
            "from": fields.Nested(MemberSchema, required=True, allow_none=True),
            "to": fields.Nested(MemberSchema, required=True, allow_none=True),
        }


class DiffSchema(Schema):
    """What differs between two positions, in the order of the last changes."""

    project = fields.String(required=True)
    items = fields.List(fields.Nested(DifferenceSchema), required=True)
    content = fields.List(
        fields.String(), metadata={"description": "With artifact: a unified diff of its content, line by line"}
    )
    next_page_token = fields.String(required=True)

    class Meta:
        """See ``DiffQuery``."""

        include = {  # noqa: RUF012
            "from": Integer(required=True, metadata={"description": "A position"}),
            "to": Integer(required=True, metadata={"description": "A position"}),
        }


class RestoreSchema(Schema):
    """Where a project is to go back to."""

    to = Moment(required=True, metadata={"description": MOMENT})
    created_since = choice(
        "deprecate", "delete", "keep", load_default="deprecate",
        metadata={"description": "What becomes of artifacts that did not exist then"},
    )  # fmt: skip
    labels = choice(
        "exact", "keep", load_default="exact",
        metadata={"description": "exact: a restore that would lower a label is refused; keep: higher labels stay"},
    )  # fmt: skip
    reason = fields.String(load_default="", validate=validate.Length(max=2000))

    class Meta:
        """A schema's own ``only`` is something else, so the field is named here."""

        include = {  # noqa: RUF012
            "only": fields.List(
                fields.String(validate=validate.Length(1, 64)), validate=validate.Length(max=1000), load_default=list,
                metadata={"description": "Ids of artifacts and tasks to restore; empty: all"},
            ),
        }  # fmt: skip


class TriedDeclarationSchema(DeclareSchema):
    """A declaration that is only tried."""

    class Meta:
        """The project is named once."""

        exclude = ("project",)


class CandidateSchema(Schema):
    """What to decide by, in place of what is in force."""

    mode = choice(*MODES, allow_none=True, load_default=None)
    policy = fields.String(
        allow_none=True, load_default=None, validate=validate.Length(1, 30_000),
        metadata={"description": "A whole policy document (YAML), in the form of config/policies/psmp.yaml"},
    )  # fmt: skip


class DecisionPreviewSchema(CandidateSchema):
    """Declarations that are decided one after the other, each on top of the ones before; nothing is written."""

    project = text(64, required=True)
    declarations = fields.List(
        fields.Nested(TriedDeclarationSchema), required=True, validate=validate.Length(1, 100)
    )  # fmt: skip


class TriedSchema(Schema):
    """What would become of one declaration."""

    index = Integer(required=True)
    verdict = fields.String(required=True, allow_none=True)
    result = objects(allow_none=True)
    error = objects(allow_none=True)


class DecisionsPreviewedSchema(Schema):
    """What would become of them."""

    project = fields.String(required=True)
    position = Integer(required=True, metadata={"description": "At which position of the project this holds"})
    mode = choice(*MODES, required=True)
    policy_digest = fields.String(required=True)
    items = fields.List(fields.Nested(TriedSchema), required=True)


class HistoryReplaySchema(CandidateSchema):
    """Which range of a project's history to decide again."""

    project = text(64, required=True)

    class Meta:
        """See ``DiffQuery``."""

        include = {  # noqa: RUF012
            "from": Moment(
                load_default="0", metadata={"description": f"{MOMENT}; what came after it is decided again"}
            ),
            "to": Moment(allow_none=True, load_default=None, metadata={"description": f"{MOMENT}; without it, now"}),
        }


class ReplayedDecisionSchema(Schema):
    """A decision that comes out another way."""

    request = fields.String(required=True)
    position = Integer(required=True)
    kind = fields.String(required=True)
    what = fields.String(required=True, metadata={"description": "What it was about"})
    was = fields.String(required=True, allow_none=True)
    would_be = fields.String(required=True, allow_none=True)
    because = choice(
        "policy", "consequence", required=True,
        metadata={"description": "policy: by itself; consequence: because an earlier decision comes out another way"},
    )  # fmt: skip
    after = fields.List(
        fields.String(), required=True, metadata={"description": "Of a consequence: the requests it follows from"}
    )
    conflicts = fields.List(objects(), required=True)


class HistoryReplayedSchema(Schema):
    """What would have been decided."""

    project = fields.String(required=True)
    mode = fields.String(required=True, allow_none=True)
    policy_digest = fields.String(required=True)
    decided = Integer(required=True, metadata={"description": "How many decisions were made again"})
    same = Integer(required=True)
    not_reproduced = Integer(
        required=True, metadata={"description": "Decisions of the range that the policy in force does not reproduce"}
    )
    counts = objects(required=True, metadata={"description": "How many went from one verdict to another"})
    changed = fields.List(fields.Nested(ReplayedDecisionSchema), required=True)

    class Meta:
        """See ``DiffQuery``."""

        include = {"from": Integer(required=True), "to": Integer(required=True)}  # noqa: RUF012
