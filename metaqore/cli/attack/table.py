"""The report in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaqore.cli.attack.drive import Result
from metaqore.cli.attack.report import Report, Row

_SHOWN, _TEXT = 3, 160
#: Terminals of so many columns have room for the families' titles.
_WIDE = 120
_NUMBERS = ("sent", "vetoed", "blocked", "refused", "missed", "stopped", "innocent", "stopped")


def show(report: Report, console: Console) -> None:
    """Print what was stopped and what was not, why, what to do about it, and the verdict on it."""
    console.print(_table(report, wide=console.width >= _WIDE))
    _say(console, _bounds(report), "dim")
    _list("missed: attacks that went through", report.misses, report, console)
    _what_to_do(report, console)
    _list("stopped without cause: innocent twins of attacks", report.false_positives, report, console)
    _list("broken: something else went wrong, so that they say nothing", report.broken, report, console)
    for limit in report.limits:
        _say(console, f"known limit: {limit.scenario}: {limit.missed} of {limit.attacks} missed. {limit.why}", "yellow")
    _not_run(report, console)
    not_governed = [row for row in report.rows if row.not_governed]
    if not_governed:
        _say(console, "\nnot governed here, so that no number above says anything about it:", "bold")
        for row in not_governed:
            _say(console, f"  {row.name} {row.title}: {row.not_governed}", "dim")
    _conclude(report, console)


def _table(report: Report, *, wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("family", no_wrap=True)
    if wide:
        table.add_column("", overflow="ellipsis", no_wrap=True, max_width=38)
    for name in _NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.rows:
        table.add_row(Text(row.name, style="bold"), *([row.title] if wide else []), *_numbers(row))
    return table


def _numbers(row: Row) -> list[str | Text]:
    stopped, false = row.stopped, row.false_positives
    kept = stopped is None or stopped >= row.wanted_stopped
    good = false is None or false <= row.wanted_false_positives
    return [
        str(sum(row.attacks.values())),
        *(str(row.attacks[name]) for name in ("vetoed", "blocked", "refused", "missed")),
        _share(stopped, kept), str(sum(row.controls.values())), _share(false, good),
    ]  # fmt: skip


def _share(share: float | None, good: bool) -> Text:
    """Return a share; one that does not keep its bound has a mark that is seen without colours, too."""
    said = "—" if share is None else f"{share:.1%}"
    return Text(said if good else f"!{said}", style="green" if good else "bold red")


def _bounds(report: Report) -> str:
    kinds: dict[tuple[float, float], list[str]] = {}
    for row in report.rows:
        kinds.setdefault((row.wanted_stopped, row.wanted_false_positives), []).append(row.name)
    said = [
        f"at least {stopped:.0%} of attacks and at most {false:.0%} of innocent twins stopped"
        + (f" ({', '.join(names)})" if len(kinds) > 1 else "")
        for (stopped, false), names in kinds.items()
    ]
    return f"wanted: {'; '.join(said)}; ! marks what is not kept (everyday texts: make bench)" if said else ""


def _list(name: str, results: Sequence[Result], report: Report, console: Console) -> None:
    """Print results by scenario: a few of each, for one that goes wrong tends to be the first of many."""
    if not results:
        return
    _say(console, f"\n{name}: {len(results)}", "bold")
    by: dict[str, list[Result]] = {}
    for result in results:
        by.setdefault(result.scenario.id, []).append(result)
    for found in by.values():
        scenario = found[0].scenario
        _say(console, f"  {scenario.id} ({' '.join(scenario.families)}): {scenario.title}", "bold")
        for result in found[:_SHOWN]:
            _one(result, report, console)
        if len(found) > _SHOWN:
            _say(console, f"    … and {len(found) - _SHOWN} more of it (--json has them)")


def _one(result: Result, report: Report, console: Console) -> None:
    case = result.case
    ids = " ".join(each for each in (result.request, result.decision) if each)
    _say(console, f"    {case.mutation}: {result.why or 'nothing in the way was found'}{f' ({ids})' if ids else ''}")
    text = " ".join(case.plain.split())
    if text:
        _say(console, f"      text    {text if len(text) <= _TEXT else text[: _TEXT - 1] + '…'}")
    _say(console, f"      repeat  {report.repeat(result)}")


def _what_to_do(report: Report, console: Console) -> None:
    """Print the advice of each family of which something went through."""
    missed = {name for result in report.misses for name in result.scenario.families}
    rows = [row for row in report.rows if row.name in missed and row.advice]
    if rows:
        _say(console, "\nwhat to do about what was missed:", "bold")
    for row in rows:
        _say(console, f"  {row.name} {row.title}: {row.advice}")


def _not_run(report: Report, console: Console) -> None:
    """Print what was not run by its reason: what has to be given to run it is one thing for many scenarios."""
    by: dict[str, dict[str, int]] = {}
    for each in report.not_run:
        by.setdefault(each.why, {})[each.scenario] = each.cases
    for why, found in by.items():
        _say(console, f"not run: {why}", "yellow")
        _say(console, f"  {sum(found.values())} cases of {', '.join(found)}", "yellow")


def _conclude(report: Report, console: Console) -> None:
    late = [row.name for row in report.rows if not row.ok]
    calls = sum(result.calls for result in report.results)
    said = f"bounds not kept: {', '.join(late)}" if late else "every bound is kept"
    said += f"; {len({each.scenario for each in report.not_run})} scenarios were not run" if report.not_run else ""
    said = said if any(row.stopped is not None for row in report.rows) else "no attack was sent to its end"
    _say(
        console,
        f"\n{said}; {len(report.results)} cases, {calls} calls in {report.seconds:.1f} s, {report.recorded} verdicts "
        f"found as answered in the engine's record, seed {report.seed}",
        "bold red" if not report.ok else "yellow" if report.not_run else "green",
    )


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True)
