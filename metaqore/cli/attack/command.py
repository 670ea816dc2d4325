"""``metaqore attack``."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.progress import Progress

from metaqore import bootstrap
from metaqore.attack.generate import cases
from metaqore.attack.model import Case, Scenario, Suite
from metaqore.attack.suite_file import load_suite
from metaqore.cli.attack.drive import Drive, Result
from metaqore.cli.attack.people import Api, People
from metaqore.cli.attack.report import Report, report_of
from metaqore.cli.attack.table import show
from metaqore.cli.attack.told import NAME, Told, entry
from metaqore.cli.demo.installation import CLOUD, Installation, folder_for_a_while
from metaqore.cli.demo.receiver import Listener
from metaqore.embedded.supervisor import Event
from metaqore.errors import MetaQoreError
from metaqore.security.keys import ALL
from metaqore.settings import load


@click.command("attack")
@click.option("--url", help="Base URL of a running MetaQore.  [default: one of its own is started and stopped]")
@click.option("--key", envvar="METAQORE_API_KEY", help="Its API key; best one with every scope, on a test project.")
@click.option("--stranger-key", envvar="METAQORE_STRANGER_KEY", default="",
              help="With --url: a key of another organization, for whoever tries to come in from there.")  # fmt: skip
@click.option("--listen", metavar="[HOST:]PORT",
              help="With --url: answer there as its model provider \"told\", for attacks in what a model says. Its "
              "providers.yaml must name it; without it these are not run.")  # fmt: skip
@click.option("--project", default="", help="The project to attack in.  [default: a new one]")
@click.option("--provider", default="mock", show_default=True, help="Provider on the premises, for model calls.")
@click.option("--cloud", default=CLOUD, show_default=True, help="Provider outside, to which nothing secret may go.")
@click.option("--family", "families", multiple=True, help="Only this family or mode, e.g. LLM01; may be repeated.")
@click.option("--scenario", "scenarios", multiple=True, help="Only this scenario; may be repeated.")
@click.option("--scenarios", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder with more scenarios (YAML).")  # fmt: skip
@click.option("--cases", "count", type=click.IntRange(1, 1000), default=12, show_default=True,
              help="Attacks, and as many controls, for each scenario.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another seed, other texts.")
@click.option("--at-once", type=click.IntRange(1, 64), default=8, show_default=True, help="Cases under way together.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, with every text that went through.")
@click.option("--allow-not-run", is_flag=True, help="Exit with 0 though something could not be run.")
@click.option("--list", "listed", is_flag=True, help="List the scenarios and stop.")
def command(
    url: str | None, key: str | None, stranger_key: str, listen: str | None, project: str, provider: str, cloud: str,
    families: Sequence[str], scenarios: Sequence[str], folder: Path | None, count: int, seed: int, at_once: int,
    as_json: bool, allow_not_run: bool, listed: bool,
) -> None:  # fmt: skip
    """Attack a running MetaQore over HTTP and report what it vetoed, blocked, refused and missed.

    Beside each attack goes an innocent control that looks like it. Exit code 1 where a family misses its bounds, which
    stand with the scenarios; 3 where the bounds are kept, but some scenarios could not be run: the report says why.
    """
    suite = load_suite(folder)
    chosen = _chosen(suite, families, scenarios)
    if listed:
        for scenario in chosen:
            click.echo(f"{scenario.id:34} {' '.join(suite.families_of(scenario)):40} {scenario.title}")
        return
    if url and not key:
        raise click.UsageError("--url needs --key (or METAQORE_API_KEY)")
    work = _work(suite, chosen, count, seed)
    console = Console(highlight=False, stderr=as_json)
    began = time.monotonic()
    given = {"provider": provider, "cloud": cloud, "told": NAME, **({"project": project} if project else {})}
    if url:
        results = _against(url, key or "", stranger_key, listen, work, at_once, given, console)
    else:
        results = _against_own(work, at_once, given, console)
    report = report_of(suite, results, seed, time.monotonic() - began)
    _print(report, console, as_json=as_json)
    sys.exit(0 if allow_not_run and report.ok else report.exit_code)


def _print(report: Report, console: Console, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        show(report, console)


def _chosen(suite: Suite, families: Sequence[str], scenarios: Sequence[str]) -> list[Scenario]:
    """Return the scenarios that were asked for.

    Raises:
        click.UsageError: one of the names is not known.
    """
    wanted = [name if name in suite.families else name.upper() for name in families]
    known = {scenario.id for scenario in suite.scenarios}
    for kind, name, there in [("family", n, suite.families) for n in wanted] + [
        ("scenario", n, known) for n in scenarios
    ]:
        if name not in there:
            raise click.UsageError(f"{kind} {name} is not known: {', '.join(there)}")
    return [
        scenario for scenario in suite.scenarios
        if (not wanted or set(wanted) & set(suite.families_of(scenario)))
        and (not scenarios or scenario.id in scenarios)
    ]  # fmt: skip


def _work(suite: Suite, chosen: Sequence[Scenario], count: int, seed: int) -> list[tuple[Scenario, Case]]:
    return [
        (scenario, case)
        for scenario in chosen
        for control in (False, True)
        for case in cases(suite, scenario, count, seed, control=control)
    ]


def _sent(
    people: People, work: Sequence[tuple[Scenario, Case]], at_once: int, given: Mapping[str, str], console: Console
) -> list[Result]:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("attacking", total=len(work))
        return Drive(people, at_once, given).run(work, lambda result: progress.advance(task))


def _against(
    url: str, key: str, stranger_key: str, listen: str | None, work: Sequence[tuple[Scenario, Case]], at_once: int,
    given: Mapping[str, str], console: Console,
) -> list[Result]:  # fmt: skip
    """Attack a MetaQore that is somebody else's.

    Raises:
        click.UsageError: it does not ask the provider that it is to ask.
    """
    if listen is None:
        return _sent(People(Api(url), key, stranger_key), work, at_once, given, console)
    host, _, port = listen.rpartition(":")
    host = host or "127.0.0.1"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--listen {listen}: give a port, or HOST:PORT")
    try:
        told = Told(host, int(port))
    except OSError as error:
        raise click.UsageError(f"--listen {listen}: {error.strerror}") from error
    with told:
        people = People(Api(url), key, stranger_key, told)
        heard = people.hears()
        if heard is not None:
            lines = yaml.safe_dump({"providers": {NAME: entry(host, told.port)}}, sort_keys=False)
            raise click.UsageError(
                f"{url} does not ask us ({heard}): add to its providers.yaml, and restart it\n{lines}"
            )
        return _sent(people, work, at_once, given, console)


def _against_own(
    work: Sequence[tuple[Scenario, Case]], at_once: int, given: Mapping[str, str], console: Console
) -> list[Result]:
    """Start a MetaQore, attack it and stop it.

    Raises:
        MetaQoreError: it did not start, or ended before the attack did.
    """
    found: list[list[Result]] = []
    failures: list[BaseException] = []
    with folder_for_a_while(keep=False) as folder, Listener() as cloud, Told() as told:
        installation = Installation(folder, cloud.port)
        told.join(installation.settings.config_path / "providers.yaml")
        ready = threading.Event()

        def attack() -> None:
            ready.wait()
            try:
                found.append(_sent(_people(installation, told), work, at_once, given, console))
            except BaseException as error:
                failures.append(error)

        console.print("starting a MetaQore of its own …", style="dim")
        installation.run(attack, ready, _ignore)
    if failures:
        raise failures[0]
    if not found:
        raise MetaQoreError("the attack was interrupted before it ended")
    return found[0]


def _people(installation: Installation, told: Told) -> People:
    """Return everybody, a stranger of another organization among them."""
    settings = installation.settings
    elsewhere = load(
        {"storage_dsn": settings.dsn, "data_dir": settings.data_dir, "organization": "elsewhere"}, environ={}
    )
    stranger = bootstrap.create_key(elsewhere, principal="stranger", name=secrets.token_hex(4), scopes=[ALL])
    return People(Api(installation.url), installation.key, stranger, told)


def _ignore(event: Event) -> None:
    """Say nothing about processes: the report is about attacks."""
