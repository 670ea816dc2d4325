"""``metaqore attack``."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.progress import Progress

from metaqore.attack.generate import case
from metaqore.attack.model import Case, Scenario, Suite
from metaqore.attack.mutations import MUTATIONS, unknown
from metaqore.attack.suite_file import load_suite
from metaqore.cli.attack.drive import Drive, Result
from metaqore.cli.attack.own import with_own
from metaqore.cli.attack.people import Api, NoAnswer, NoSuchPerson, People
from metaqore.cli.attack.proof import show_proof, shown
from metaqore.cli.attack.report import Report, report_of
from metaqore.cli.attack.table import show
from metaqore.cli.attack.told import NAME, Told, entry
from metaqore.cli.demo.installation import CLOUD

#: The attack could not be made at all: nobody answers, or the key is not accepted.
NOT_MADE = 4


class NotMade(click.ClickException):
    """No attack was made."""

    exit_code = NOT_MADE


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for."""

    url: str | None
    key: str
    stranger_key: str
    listen: str | None
    project: str
    provider: str
    cloud: str
    families: tuple[str, ...]
    scenarios: tuple[str, ...]
    folder: Path | None
    count: int
    numbers: tuple[int, ...]
    disguises: tuple[str, ...]
    seed: int
    at_once: int
    unguarded: bool

    @property
    def again(self) -> str:
        """The command that does the same to one scenario and case; the key is not in it."""
        named = [
            ("--url", self.url),
            ("--listen", self.listen),
            ("--project", self.project),
            ("--scenarios", self.folder),
        ]
        words = [word for name, value in named if value for word in (name, str(value))]
        words += [] if self.provider == "mock" else ["--provider", self.provider]
        words += [] if self.cloud == CLOUD else ["--cloud", self.cloud]
        words += [word for name in self.disguises for word in ("--disguise", name)]
        return shlex.join(["metaqore", "attack", *words, "--seed", str(self.seed)])


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
@click.option("--case", "numbers", type=click.IntRange(0), multiple=True,
              help="Only the case of that number, e.g. to repeat a miss; may be repeated.")  # fmt: skip
@click.option("--disguise", "disguises", multiple=True, metavar="NAME[+NAME]",
              help="Disguise all texts so, instead of as the scenarios say; may be repeated. Several, the innermost "
              f"first, are joined by +. Known: {', '.join(MUTATIONS)}.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another seed, other texts.")
@click.option("--at-once", type=click.IntRange(1, 64), default=8, show_default=True, help="Cases under way together.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the report as JSON, with every text that went through and every innocent one that did not.",
)
@click.option("--unguarded", is_flag=True,
              help="Show that the harness can tell: attack a MetaQore of its own whose guards are taken away. Exit "
              "code 0 where all is missed that a guard stops, 1 where something is not.")  # fmt: skip
@click.option("--allow-not-run", is_flag=True, help="Exit with 0 though something could not be run.")
@click.option("--list", "listed", is_flag=True, help="List the scenarios and stop.")
def command(listed: bool, as_json: bool, allow_not_run: bool, key: str | None, **chosen: object) -> None:
    """Attack a running MetaQore over HTTP and report what it vetoed, blocked, refused and missed.

    Beside each attack goes an innocent twin that looks like it, so that an engine that stops everything is found out.
    vetoed: SecureGateway has decided against it. blocked: PSMP has found a conflict, or the answer's piece was taken
    out. refused: turned away at the door (key, scope, tenant, form). missed: it went through to the end.

    \b
    Exit codes
      0  every family keeps its bounds
      1  one does not: the report names what was missed, and how to repeat it
      2  an option is wrong
      3  the bounds are kept, but some scenarios could not be run: the report says why
      4  no attack was made: nobody answers there, or the key is not accepted
    """
    options = Options(key=key or "", **chosen)  # type: ignore[arg-type]
    suite = load_suite(options.folder)
    selected = _chosen(suite, options)
    if listed:
        for scenario in selected:
            click.echo(f"{scenario.id:34} {' '.join(suite.families_of(scenario)):40} {scenario.title}")
        return
    if options.url and not options.key:
        raise click.UsageError("--url needs --key (or METAQORE_API_KEY)")
    if options.url and options.unguarded:
        raise click.UsageError(
            "--unguarded takes the guards of a MetaQore of its own away, and of no other: drop --url"
        )
    console = Console(highlight=False, stderr=as_json)
    began = time.monotonic()
    results = _results(options, _work(suite, selected, options), console)
    if options.unguarded:
        sys.exit(_proved(results, console, as_json=as_json))
    report = report_of(
        suite, results, options.seed, time.monotonic() - began, families=_families(suite, options), again=options.again
    )
    _print(report, console, as_json=as_json)
    sys.exit(0 if allow_not_run and report.ok else report.exit_code)


def _results(options: Options, work: Sequence[tuple[Scenario, Case]], console: Console) -> list[Result]:
    """Send everything.

    Raises:
        NotMade: nothing could be sent.
    """

    def attack(people: People) -> list[Result]:
        return _sent(people, work, options, console)

    try:
        if options.url:
            return _against(options, attack)
        console.print(f"starting a MetaQore of its own{', without guards' * options.unguarded} …", style="dim")
        return with_own(attack, unguarded=options.unguarded)
    except (NoAnswer, NoSuchPerson) as error:
        raise NotMade(error.message) from error


def _print(report: Report, console: Console, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        show(report, console)


def _proved(results: Sequence[Result], console: Console, *, as_json: bool) -> int:
    found = shown(results)
    if as_json:
        click.echo(json.dumps([{**asdict(each), "ok": each.ok} for each in found], indent=2))
    else:
        show_proof(found, console)
    return 0 if found and all(each.ok for each in found) else 1


def _families(suite: Suite, options: Options) -> list[str]:
    """Return the families that were asked for, however they were written."""
    return [name if name in suite.families else name.upper() for name in options.families]


def _chosen(suite: Suite, options: Options) -> list[Scenario]:
    """Return the scenarios that were asked for.

    Raises:
        click.UsageError: one of the names is not known.
    """
    wanted = _families(suite, options)
    known = {scenario.id for scenario in suite.scenarios}
    for kind, name, there in [("family", n, suite.families) for n in wanted] + [
        ("scenario", n, known) for n in options.scenarios
    ]:
        if name not in there:
            raise click.UsageError(f"{kind} {name} is not known: {', '.join(there)}")
    for name in options.disguises:
        if missing := unknown(name):
            raise click.UsageError(f"--disguise {name}: {missing[0]} is not known: {', '.join(MUTATIONS)}")
    return [
        scenario for scenario in suite.scenarios
        if (not wanted or set(wanted) & set(suite.families_of(scenario)))
        and (not options.scenarios or scenario.id in options.scenarios)
    ]  # fmt: skip


def _work(suite: Suite, chosen: Sequence[Scenario], options: Options) -> list[tuple[Scenario, Case]]:
    def made(scenario: Scenario, *, control: bool) -> Iterable[Case]:
        one = partial(case, suite, scenario, seed=options.seed, control=control, disguises=options.disguises)
        return map(one, options.numbers or range(min(options.count, scenario.most or options.count)))

    # Without guards nothing has to be told from anything.
    kinds = (False,) if options.unguarded else (False, True)
    return [(scenario, each) for scenario in chosen for control in kinds for each in made(scenario, control=control)]


def _sent(people: People, work: Sequence[tuple[Scenario, Case]], options: Options, console: Console) -> list[Result]:
    given = {"provider": options.provider, "cloud": options.cloud, "told": NAME}
    given |= {"project": options.project} if options.project else {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("attacking", total=len(work))
        drive = Drive(people, options.at_once, given, unguarded=options.unguarded)
        return drive.run(work, lambda result: progress.advance(task))


def _against(options: Options, attack: Callable[[People], list[Result]]) -> list[Result]:
    """Attack a MetaQore that is somebody else's.

    Raises:
        click.UsageError: it does not ask the provider that it is to ask.
        NoSuchPerson: the key is not accepted.
    """
    api, where = Api(str(options.url)), _listened_on(options.listen)
    refused = People(api, options.key).is_accepted()
    if refused is not None:
        raise NoSuchPerson(
            f"{options.url} does not accept the key ({refused}): give one of that installation with --key or "
            "METAQORE_API_KEY"
        )
    if where is None:
        return attack(People(api, options.key, options.stranger_key))
    try:
        told = Told(*where)
    except OSError as error:
        raise click.UsageError(f"--listen {options.listen}: {error.strerror}") from error
    with told:
        people = People(api, options.key, options.stranger_key, told)
        heard = people.hears()
        if heard is not None:
            lines = yaml.safe_dump({"providers": {NAME: entry(where[0], told.port)}}, sort_keys=False)
            raise click.UsageError(
                f"{options.url} does not ask us ({heard}): add to its providers.yaml, and restart it\n{lines}"
            )
        return attack(people)


def _listened_on(listen: str | None) -> tuple[str, int] | None:
    """Return host and port of ``--listen``.

    Raises:
        click.UsageError: there is no port in it.
    """
    if listen is None:
        return None
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--listen {listen}: give a port, or HOST:PORT")
    return host or "127.0.0.1", int(port)
