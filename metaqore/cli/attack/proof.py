"""What attacks on an engine without its guards show: that they are missed there, so that the harness can tell.

A harness that never finds anything would say of every engine that it is safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from metaqore.cli.attack.drive import Result


@dataclass(frozen=True)
class Shown:
    """A scenario against an engine without guards."""

    scenario: str
    attacks: int
    missed: int
    #: What stops it though no setting asks for it; "" where the scenario needs none such.
    built_in: str
    #: Why its attacks were stopped, or said nothing.
    whys: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True where its attacks go through without guards, or cannot whatever is set."""
        return self.missed > 0 or bool(self.built_in)


def shown(results: Sequence[Result]) -> list[Shown]:
    """Return what became of each scenario's attacks; innocent twins say nothing here."""
    by: dict[str, list[Result]] = {}
    for result in results:
        if not result.case.is_control:
            by.setdefault(result.scenario.id, []).append(result)
    return [
        Shown(
            name, len(found), sum(each.verdict == "missed" for each in found), found[0].scenario.built_in,
            tuple(dict.fromkeys(f"{each.verdict}: {each.why}" for each in found if each.verdict != "missed")),
        )
        for name, found in by.items()
    ]  # fmt: skip


def show_proof(found: Sequence[Shown], console: Console) -> None:
    """Print which scenarios can fail."""
    missed = [each for each in found if each.missed]
    _say(console, f"without guards {len(missed)} of {len(found)} scenarios went through, as they must:", "bold")
    for each in missed:
        _say(console, f"  {each.scenario}: {each.missed} of {each.attacks} missed")
    kept = [each for each in found if not each.missed and each.built_in]
    if kept:
        _say(console, "\nstopped by what no setting takes away:", "bold")
    for each in kept:
        _say(console, f"  {each.scenario}: {each.built_in} ({'; '.join(each.whys)})")
    wrong = [each for each in found if not each.ok]
    if wrong:
        _say(
            console, "\nnot shown to be able to fail, so that their being stopped elsewhere proves nothing:", "bold red"
        )
    for each in wrong:
        _say(console, f"  {each.scenario}: {'; '.join(each.whys)}")
    _say(
        console,
        "\nthe harness can tell: without its guards an engine is shown to have none" if not wrong and found
        else f"{len(wrong)} of {len(found)} scenarios cannot be trusted",
        "bold red" if wrong or not found else "green",
    )  # fmt: skip


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True)
