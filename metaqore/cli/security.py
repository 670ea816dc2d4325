"""``metaqore security``: ask SecureGateway about a payload, offline."""

from __future__ import annotations

import codecs
import json
from contextlib import suppress
from typing import BinaryIO

import click

from metaqore.security import assess
from metaqore.security.model import Assessment, Context, Finding, Label, Position, Threat


@click.group()
def group() -> None:
    """Assess payloads: sensitivity, findings, threats."""


@group.command("assess")
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print the assessment as JSON.")
@click.option(
    "--position",
    type=click.Choice([position.value for position in Position]),
    default=Position.USER.value,
    show_default=True,
    help="Where the text comes from.",
)
@click.option("--task-type", default="", help="The task that it is for, as declared.")
@click.option("--fail-at", type=click.Choice([label.name for label in Label]), help="Exit with 1 from this label on.")
def assess_command(file: BinaryIO, as_json: bool, position: str, task_type: str, fail_at: str | None) -> None:
    """Assess FILE (- reads standard input): its label and why.

    Exits with 2 where the payload reads like an attack, with 1 where its label is at least --fail-at. What is neither
    UTF-8 nor UTF-16 with its mark is read byte by byte. Offsets count characters, after such a mark.
    """
    assessment = assess(_text(file.read()), Context(task_type=task_type, position=Position(position)))
    if as_json:
        click.echo(json.dumps(assessment.to_dict(), indent=2, sort_keys=True))
    else:
        _show(assessment)
    if assessment.threats:
        raise click.exceptions.Exit(2)
    if fail_at and assessment.label >= Label[fail_at]:
        raise click.exceptions.Exit(1)


def _text(octets: bytes) -> str:
    """Return the text of a file, without a byte order mark; a byte that is no UTF-8 stays one (a lone surrogate)."""
    if octets[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and 4 * octets.count(0) > len(octets):
        with suppress(UnicodeDecodeError):
            return octets.decode("utf-16")
    return octets.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _show(assessment: Assessment) -> None:
    click.echo(assessment.label.name)
    for reason in assessment.reasons:
        click.echo(f"  {reason}")
    for finding in assessment.findings:
        click.echo(
            f"  {finding.label.name:9} {finding.type:20} {_place(finding)}  {finding.rule} {finding.confidence:.2f}"
        )
    for threat in assessment.threats:
        click.echo(f"  THREAT    {threat.family:20} {_place(threat)}  {threat.rule}: {threat.explanation}")


def _place(found: Finding | Threat) -> str:
    where = f"{found.pointer or ''}[{found.start}:{found.end}]"
    return where if found.view == "plain" else f"{where} ({found.view})"
