"""Traits of a declaration: what it uses, as bits, so that checks of what it does not use are never called. Pure.

Plain integers: a flag enumeration costs more to combine than most checks take.
"""

from __future__ import annotations

from metaqore.psmp.model import Declaration

#: Its content says enough to be recognised.
CONTENT = 1
#: The artifact exists.
HEAD = 2
#: It names a base version.
BASE = 4
DEPENDS_ON = 8
REQUIRES = 16
CLAIMS = 32
READ_SET = 64
OWNS = 128
INTENT = 256
LABEL = 512
METADATA = 1024
#: Its project has open intents.
ANNOUNCED = 2048
#: Its content holds what raises a label.
SENSITIVE = 4096


def traits_of(declaration: Declaration, *, trivial: bool) -> int:
    """Return what a declaration uses; whether its artifact exists is not known yet.

    Args:
        trivial: its content says too little to be recognised.
    """
    traits = 0 if trivial else CONTENT
    if declaration.base_version:
        traits |= BASE
    if declaration.depends_on:
        traits |= DEPENDS_ON
    if declaration.requires:
        traits |= REQUIRES
    if declaration.claims:
        traits |= CLAIMS
    if declaration.read_set:
        traits |= READ_SET
    if declaration.owns is not None or declaration.force:
        traits |= OWNS
    if declaration.intent is not None:
        traits |= INTENT
    if declaration.label is not None:
        traits |= LABEL
    if declaration.metadata:
        traits |= METADATA
    return traits
