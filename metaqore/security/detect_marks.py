"""What stands where a value was taken out: ``[REDACTED EMAIL]``, ``[EMAIL_1]``. It is neither a value nor a context."""

from __future__ import annotations

import re

from metaqore.security.finding_types import FINDING_TYPES

_TYPES = "|".join(sorted((kind.upper() for kind in FINDING_TYPES), key=len, reverse=True))
#: Only the types that there are, so that nothing can hide in brackets.
_MARK = re.compile(rf"\[(?:REDACTED (?:{_TYPES.replace('_', ' ')})|(?:{_TYPES})_\d{{1,6}})\]")
BLANK = "#"


def unmarked(text: str) -> str:
    """Return a text of the same length with its marks blanked, so that their words speak of nothing."""
    return _MARK.sub(lambda mark: BLANK * len(mark[0]), text) if "[" in text else text
