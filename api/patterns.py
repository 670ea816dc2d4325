r"""Regular expressions as OpenAPI wants them: in the dialect of ECMA-262, found anywhere unless anchored.

Our schemas hold Python's, matched from the start and ended by ``\Z`` (``$`` would let a line end pass), which another
language reads as the letter Z, or not at all.
"""

from __future__ import annotations

from typing import Any


def portable(node: Any) -> Any:
    """Return a part of an OpenAPI document with every ``pattern`` of a schema in the dialect that it is read in."""
    if isinstance(node, list):
        return [portable(item) for item in node]
    if not isinstance(node, dict):
        return node
    is_schema = "type" in node and isinstance(node.get("pattern"), str)
    return {name: ecma(value) if is_schema and name == "pattern" else portable(value) for name, value in node.items()}


def ecma(pattern: str) -> str:
    r"""Return a Python pattern that is matched from the start as one that says so.

    >>> ecma(r"[a-z]+\Z")
    '^[a-z]+$'
    """
    body = pattern.removeprefix("^").replace(r"\Z", "$")
    # An alternative at the top would keep the anchor to itself.
    return f"^(?:{body})" if "|" in body and not pattern.startswith("^") else f"^{body}"
