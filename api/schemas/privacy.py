"""Erasures, access, holds and retention, as they come in and go out."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.strict import Integer, Moment, choice, text
from metaqore.audit.privacy import BASES, CLASSES, FLOOR_DAYS
from metaqore.store.views.subject_access import HOLDINGS


class SubjectQuery(Schema):
    """Which data subject."""

    subject = fields.String(
        required=True, validate=validate.Length(1, 200),
        metadata={"description": "A principal, or the name given with the data (Data-Subject)"},
    )  # fmt: skip


class NewErasureSchema(Schema):
    """An erasure (GDPR Art. 17)."""

    subject = text(200, required=True)
    basis = choice(*BASES, load_default="art17", metadata={"description": "Why, for the log"})


class ErasureSchema(Schema):
    """What was erased, and how far that has come."""

    id = fields.String(required=True)
    subject = fields.String(required=True)
    subject_key = fields.String(required=True, metadata={"description": "How the audit log names the subject"})
    basis = fields.String(required=True)
    requested_by = fields.String(required=True)
    erased_at = Moment(required=True)
    results_at = Moment(allow_none=True, metadata={"description": "Since when the broker holds nothing of it"})
    files_at = Moment(allow_none=True, metadata={"description": "Since when the files of the database do not"})
    state = fields.String(required=True, metadata={"description": "cleaning, then complete"})
    erased = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"description": "What → how many"})


_SAYS = {
    "requests": "Payloads and results, readable",
    "recipients": "Which endpoints were told of its requests",
    "entries": "Entries of the audit log that speak of it",
}
#: Everything that is kept of a data subject (GDPR Art. 15): a list for each place where something can be.
ExportSchema = Schema.from_dict(
    {
        "organization": fields.String(required=True),
        "subject": fields.String(required=True),
        "kept_days": fields.Dict(
            keys=fields.String(), values=fields.Integer(), required=True,
            metadata={"description": "Class of payloads → how long they are kept"},
        ),
        **{
            place: fields.List(
                fields.Dict(), required=True, metadata={"description": _SAYS.get(place, f"What {place} hold of it")}
            )
            for place in HOLDINGS
        },
    },
    name="ExportSchema",
)  # fmt: skip


class NewHoldSchema(Schema):
    """A legal hold."""

    subject = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(1, 200),
        metadata={"description": "Null for the whole organization"},
    )  # fmt: skip
    reason = text(500, required=True, metadata={"description": "The matter the hold belongs to"})


class HoldSchema(Schema):
    """A legal hold in force."""

    id = fields.String(required=True)
    subject = fields.String(allow_none=True)
    reason = fields.String()
    placed_by = fields.String()
    placed_at = Moment()


class HoldsSchema(Schema):
    """All legal holds in force."""

    items = fields.List(fields.Nested(HoldSchema), required=True)


class RetentionSchema(Schema):
    """How long a class of payloads is kept."""

    data_class = choice(*CLASSES, required=True, data_key="class")
    days = Integer(required=True, validate=validate.Range(FLOOR_DAYS, 36_500))


class RetentionsSchema(Schema):
    """How long each class is kept."""

    items = fields.List(fields.Nested(RetentionSchema), required=True)
