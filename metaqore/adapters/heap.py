"""Keeps the garbage collector away from what lives as long as the process."""

from __future__ import annotations

import gc


def settle() -> None:
    """Leave everything that start-up made out of later collections, and collect what comes after less often.

    Modules, schemas and routes are hundreds of thousands of objects that never die; going through them took 10 to
    15 % of a busy worker's time. Reference counting frees nearly all of what a request makes; only cycles wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
