"""One payload of the challenge, with what is true of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """A payload and its truth."""

    text: str
    #: What kind of payload it is, for the tables.
    family: str
    #: ``PUBLIC`` … ``CRITICAL``; None where the challenge does not say.
    label: str | None = None
    #: None where the challenge does not say.
    attack: bool | None = None
    position: str = "user"
    disguise: str | None = None


def sentences(name: str, chosen: str) -> list[list[str]]:
    """Return the fields of the lines of one set in the files beside this module, without the set's name.

    Args:
        name: ``attacks`` or ``innocent``; later sets have files of their own, such as ``attacks_d.txt``.
    """
    paths = sorted(Path(__file__).parent.glob(f"{name}*.txt"))
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines()]
    found = [line.split("|", 4 if name == "attacks" else 2) for line in lines if line and not line.startswith("# ")]
    return [fields[1:] for fields in found if fields[0] == chosen]
