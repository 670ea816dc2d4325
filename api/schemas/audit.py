"""The audit log, as it goes out, and receipts, as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.schemas.strict import Integer, PageQuery


class EntrySchema(Schema):
    """One entry: its canonical bytes (RFC 8785) are the member ``entry``, its leaf hash is SHA-256(0x00 || bytes)."""

    seq = Integer(required=True)
    tag = fields.String(required=True, metadata={"description": "feature:subject:action"})
    ts = Integer(required=True, metadata={"description": "Milliseconds since the epoch"})
    leaf_hash = fields.String(required=True, metadata={"description": "64 hexadecimal digits"})
    entry = fields.Dict(required=True)


class EntryQuery(PageQuery):
    """Which entries, in their order."""

    tag = fields.String(
        validate=validate.Length(1, 100), load_default=None,
        metadata={"description": "A whole tag, or the beginning of one and *: security:*"},
    )  # fmt: skip
    actor = fields.String(validate=validate.Length(1, 200), load_default=None)
    project = fields.String(validate=validate.Length(1, 64), load_default=None)
    request = fields.String(validate=validate.Length(1, 64), load_default=None)
    as_of = fields.AwareDateTime(
        format="iso", load_default=None, metadata={"description": "Leave out what is dated later; RFC 3339 with offset"}
    )


class SignedCheckpointSchema(Schema):
    """A signed tree head."""

    size = Integer(required=True, metadata={"description": "Entries that it covers"})
    note = fields.String(required=True, metadata={"description": "C2SP tlog-checkpoint, a signed note"})
    sealed_at = Integer(required=True, metadata={"description": "Milliseconds since the epoch"})


class VerifierKeySchema(Schema):
    """A key that signed here. Ask somebody else whether to trust it."""

    vkey = fields.String(required=True, metadata={"description": "C2SP signed-note verifier key"})
    created_at = Integer(required=True)


class SignedCheckpointPageSchema(Schema):
    """A page of checkpoints, and the keys that signed them."""

    items = fields.List(fields.Nested(SignedCheckpointSchema), required=True)
    next_page_token = fields.String(required=True)
    keys = fields.List(fields.Nested(VerifierKeySchema), required=True)


class ReceiptSchema(Schema):
    """Evidence that an entry is in the log: keep it, check it anywhere with ``metaqore audit check-receipt``."""

    format = fields.String(required=True)
    seq = Integer(required=True)
    leaf_hash = fields.String(required=True)
    proof = fields.List(fields.String(), required=True)
    checkpoint = fields.String(required=True)


class ConsistencyQuery(Schema):
    """From which size on."""

    old = fields.Integer(required=True, validate=validate.Range(0, 2**53 - 1))


class ConsistencySchema(Schema):
    """Proof that the newest checkpoint's log begins with the first ``old`` entries (RFC 9162 §2.1.4)."""

    old = Integer(required=True)
    proof = fields.List(fields.String(), required=True, metadata={"description": "Hashes, base64"})
    checkpoint = fields.String(required=True)


class WebhookSchema(Schema):
    """A webhook as its receiver kept it."""

    body = fields.Dict(keys=fields.String(), required=True, metadata={"description": "The JSON that was received"})
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True,
        metadata={"description": "Those that came with it; metaqore-checkpoint must be among them"},
    )  # fmt: skip


class CheckSchema(Schema):
    """What is to be checked: one of the three."""

    receipt = fields.Nested(ReceiptSchema, metadata={"description": "A receipt, as GET /audit/proofs/{seq} gives it"})
    result = fields.Dict(
        keys=fields.String(), metadata={"description": "A result, as GET /requests/{id} gives it, or its member audit"}
    )
    webhook = fields.Nested(WebhookSchema)

    @validates_schema
    def _one(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if len(data) != 1:
            raise ValidationError("give exactly one of receipt, result and webhook")


class CheckedSchema(Schema):
    """What was kept proves, to whoever believes this server; an auditor checks it alone.

    A result or webhook has no proof of its own, so it is valid where the log here leads to the checkpoint that it has.
    """

    valid = fields.Boolean(required=True)
    why = fields.String(required=True, allow_none=True)
    size = Integer(required=True, allow_none=True, metadata={"description": "Entries that its checkpoint covers"})
    in_log = fields.Boolean(required=True, metadata={"description": "The log here has those very entries"})


class RecordedSchema(Schema):
    """One entry about a request."""

    seq = Integer(required=True)
    tag = fields.String(required=True)
    leaf_hash = fields.String(required=True)


class EvidenceSchema(Schema):
    """What the audit log has about a request; the checkpoint is null until all of it is sealed, a second at most."""

    entries = fields.List(fields.Nested(RecordedSchema), required=True)
    checkpoint = fields.String(required=True, allow_none=True)
