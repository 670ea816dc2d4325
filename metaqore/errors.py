"""Every error of MetaQore, one tree.

    MetaQoreError
    ├── SettingsError            a setting or policy file that cannot be used
    ├── InvalidInput             400/422: what the caller sent is wrong
    │   └── Malformed            400: it could not be parsed at all
    ├── Unauthenticated          401
    ├── Forbidden                403
    ├── NotFound                 404
    ├── Conflict                 409: the request does not fit the present state
    ├── PreconditionFailed       412
    ├── RateLimited              429
    ├── Unavailable              503: nothing was stored, safe to repeat
    └── Retryable                the executor tries again later
        └── Contention           another writer got there first; repeat the transaction

The docstring of a class is its default message. HTTP statuses belong to ``api/errors.py``.
"""

from __future__ import annotations

from typing import Any


class MetaQoreError(Exception):
    """Something went wrong in MetaQore."""

    code = "internal_error"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)


class SettingsError(MetaQoreError):
    """A setting cannot be used."""

    code = "invalid_settings"


class InvalidInput(MetaQoreError):
    """The request is not valid."""

    code = "invalid_input"


class Malformed(InvalidInput):
    """The body could not be parsed."""

    code = "malformed"


class Unauthenticated(MetaQoreError):
    """A valid API key is needed: send it as "Authorization: Bearer mq_…"."""

    code = "unauthenticated"


class Forbidden(MetaQoreError):
    """The key does not have the scope for this."""

    code = "forbidden"


class NotFound(MetaQoreError):
    """There is no such thing in this organization."""

    code = "not_found"


class Conflict(MetaQoreError):
    """The request does not fit the present state."""

    code = "conflict"


class PreconditionFailed(MetaQoreError):
    """The thing has changed since you read it."""

    code = "precondition_failed"


class RateLimited(MetaQoreError):
    """Too many requests."""

    code = "rate_limited"


class Unavailable(MetaQoreError):
    """The request could not be stored now. Nothing was accepted; it is safe to repeat it."""

    code = "unavailable"


class Retryable(MetaQoreError):
    """A passing fault; the executor will try again."""

    code = "retryable"


class Contention(Retryable):
    """Another writer got there first; the transaction was rolled back and can be repeated."""

    code = "contention"
