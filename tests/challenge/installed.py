"""What SecureGateway says of installed software that its models were not trained on; all of it is innocent."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from metaqore.security import assess
from metaqore.security.model import Context, Label, Position
from metaqore.security.training import software


class Measured(NamedTuple):
    """Shares of the pieces."""

    pieces: int
    #: Taken for attacks.
    flagged: float
    #: Labelled CRITICAL.
    critical: float


def measured(seed: int, of_a_package: int = 6, step: int = 1) -> Measured:
    """Read some pieces of each package that was never trained on, as artifacts.

    Args:
        step: Of the pieces, each how-manieth is read.
    """
    pieces = islice(software.pieces(unseen=True, seed=seed, of_a_package=of_a_package), 0, None, step)
    found = [assess(piece.text, Context(position=Position.ARTIFACT)) for piece in pieces]
    flagged = sum(bool(one.threats) for one in found)
    critical = sum(one.label is Label.CRITICAL for one in found)
    return Measured(len(found), flagged / len(found), critical / len(found))
