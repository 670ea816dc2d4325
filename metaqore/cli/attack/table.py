"""The report in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaqore.cli.attack.drive import Result
from metaqore.cli.attack.report import Report, Row

_SHOWN, _WIDTH = 12, 110


def show(report: Report, console: Console) -> None:
    """Print what was stopped and what was not, and the verdict on it."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("family")
    table.add_column("", overflow="ellipsis", no_wrap=True, max_width=38)
    for name in ("attacks", "vetoed", "blocked", "refused", "missed", "stopped", "wanted", "controls", "false pos.",
                 "allowed"):  # fmt: skip
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(*_cells(row))
    console.print(table)
    _list("missed", report.misses, console)
    _list("false positives", report.false_positives, console)
    _list("broken", report.broken, console)
    for each in report.not_run:
        console.print(
            Text(f"not run: {each.scenario} ({each.cases} cases): {each.why}", style="yellow"), soft_wrap=True
        )
    late = [row.name for row in report.rows if not row.ok]
    calls = sum(result.calls for result in report.results)
    said = f"bounds not kept: {', '.join(late)}" if late else "every bound is kept"
    said += f"; {len({each.scenario for each in report.not_run})} scenarios were not run" if report.not_run else ""
    said = said if any(row.stopped is not None for row in report.rows) else "no attack was sent to its end"
    console.print(
        Text(f"\n{said}; {len(report.results)} cases, {calls} calls in {report.seconds:.1f} s, seed {report.seed}",
             style="bold red" if not report.ok else "yellow" if report.not_run else "green")
    )  # fmt: skip


def _cells(row: Row) -> list[str | Text]:
    stopped, false = row.stopped, row.false_positives
    kept = stopped is None or stopped >= row.wanted_stopped
    good = false is None or false <= row.wanted_false_positives
    return [
        Text(row.name, style="bold"), row.title, str(sum(row.attacks.values())),
        *(str(row.attacks[name]) for name in ("vetoed", "blocked", "refused", "missed")),
        Text(_percent(stopped), style="green" if kept else "bold red"), f"≥ {row.wanted_stopped:.0%}",
        str(sum(row.controls.values())), Text(_percent(false), style="green" if good else "bold red"),
        f"≤ {row.wanted_false_positives:.0%}",
    ]  # fmt: skip


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"


def _list(name: str, results: Sequence[Result], console: Console) -> None:
    if not results:
        return
    console.print(Text(f"\n{name}: {len(results)}", style="bold"))
    for result in results[:_SHOWN]:
        case = result.case
        text = " ".join(case.plain.split())
        shown = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
        why = f" [{result.why}]" if result.why else ""
        console.print(Text(f"  {case.scenario} #{case.number} {case.mutation}{why}: {shown}"), soft_wrap=True)
    if len(results) > _SHOWN:
        console.print(f"  … and {len(results) - _SHOWN} more (--json has them)")
