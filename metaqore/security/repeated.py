"""Does the value of a finding stand in another text already, however it is written there? Pure.

What somebody has said already (a prompt, of its answer; a version, of the next one) is nothing that is found anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from metaqore.security.model import Finding


def squeezed(text: str) -> str:
    """Return the letters and digits of a text, in one case: how it is compared, whatever is put between them."""
    return "".join(filter(str.isalnum, text.casefold()))


def value_of(payload: Any, finding: Finding) -> str:
    """Return what was found, squeezed; "" for the name of a member, and for what is not there.

    Args:
        payload: what was assessed: a text or a JSON value.
    """
    if finding.pointer is None:
        text = payload if isinstance(payload, str) else ""
    else:
        text = _at(json.loads(payload) if isinstance(payload, str) else payload, finding.pointer)
    return squeezed(text[finding.start : finding.end])


def _at(value: Any, pointer: str) -> str:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(name)]
        else:
            value = value.get(name, "") if isinstance(value, Mapping) else ""
    return value if isinstance(value, str) else str(value)
