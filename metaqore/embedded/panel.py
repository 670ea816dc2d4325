"""The one panel that ``metaqore up`` prints when all is ready."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, kw_only=True)
class Welcome:
    """What a newcomer needs to know. ``api`` and ``flower`` are base URLs without a slash at the end."""

    api: str
    flower: str
    flower_login: str
    data_folder: Path
    key: str


def first_command(welcome: Welcome) -> str:
    """Return the line to try first in a shell: it makes a project with the development key."""
    return (
        f"curl -s {welcome.api}/api/v1/projects -H 'Authorization: Bearer {welcome.key}' "
        """-H 'Content-Type: application/json' -d '{"name": "first"}'"""
    )


def show(welcome: Welcome, console: Console) -> None:
    """Print the panel, and below it the line to try first, as one line however narrow the terminal is."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in (
        ("API", f"{welcome.api}/api/v1"),
        ("API docs", f"{welcome.api}/docs"),
        ("Flower", f"{welcome.flower}   (login {welcome.flower_login})"),
        ("Data", f"{welcome.data_folder}   (logs in logs/)"),
        ("Key", welcome.key),
        ("Stop", "Ctrl-C"),
    ):
        facts.add_row(name, Text(value))
    console.print(Panel(facts, title="MetaQore is ready", border_style="green", expand=False, padding=(1, 2)))
    console.print(Text("Try first:", style="bold"))
    console.print(Text(first_command(welcome), style="cyan"), soft_wrap=True)
