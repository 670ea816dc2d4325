"""``Data-Subject``: whose data the body is, where it is not the sender's own."""

from __future__ import annotations

import re

from api.door import header
from metaqore.errors import Malformed

#: A pseudonym or an id; what it stands for belongs to whoever sends it.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}")


def data_subject() -> str | None:
    """Return the data subject of this request, None where it is the principal.

    Raises:
        Malformed: not a name.
    """
    text = header("HTTP_DATA_SUBJECT")
    if text is None:
        return None
    if not _NAME.fullmatch(text):
        raise Malformed("Data-Subject: 1 to 200 letters, digits and ._:@/-, beginning with a letter or a digit")
    return text
