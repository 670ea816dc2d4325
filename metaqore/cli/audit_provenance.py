"""``metaqore audit provenance``: where an artifact comes from, from the database of the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from metaqore.audit.picture import draw
from metaqore.audit.provenance import to_prov_json
from metaqore.bootstrap import open_database
from metaqore.errors import NotFound
from metaqore.psmp.checkpoints import parse_point
from metaqore.settings import load
from metaqore.store import views
from metaqore.store.views import Views


@click.command("provenance")
@click.argument("artifact")
@click.option("--organization", default=None, help="Whose artifact; the installation's own by default.")
@click.option("--version", type=click.IntRange(1), help="Which version; the present one by default.")
@click.option("--as-of", help="The version that stood at a position, a time or a checkpoint of its project.")
@click.option("--depth", type=click.IntRange(0, 32), default=6, show_default=True, help="Generations back.")
@click.option("--nodes", type=click.IntRange(1, 5000), default=200, show_default=True, help="How large it may grow.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw it to this file instead.")
def provenance_command(
    artifact: str, organization: str | None, version: int | None, as_of: str | None, depth: int, nodes: int,
    svg: Path | None,
) -> None:  # fmt: skip
    """Print who made ARTIFACT, when, from what, under which policy and with which model, as W3C PROV-JSON."""
    settings = load()
    whose = organization or settings.organization
    database = open_database(settings)
    try:
        found = views.build(database)
        number = version or _version(found, whose, artifact, as_of)
        if found.psmp.version(whose, artifact, number) is None:
            raise NotFound(f"artifact {artifact} has no version {number} in {whose}")
        graph = found.provenance.of(whose, artifact, number, depth=depth, limit=nodes)
    finally:
        database.close()
    if svg is not None:
        svg.write_text(draw(graph, f"Provenance of {artifact}, version {number}"), encoding="utf-8")
        click.echo(f"wrote {svg}: {len(graph.nodes)} nodes" + (", truncated" if graph.truncated else ""))
        return
    about: dict[str, Any] = {"artifact": artifact, "version": number, "depth": depth, "asOf": as_of}
    click.echo(json.dumps(to_prov_json(graph, whose, about), ensure_ascii=False, indent=1))


def _version(found: Views, organization: str, artifact: str, as_of: str | None) -> int:
    """Return the version that stood at a moment, the present one where none is named."""
    project = found.psmp.project_of(organization, "artifacts", artifact)
    point = None if as_of is None else parse_point(as_of, "--as-of")
    place = None if project is None else found.time.place(organization, project, point, "--as-of")
    rows = found.psmp if place is None or as_of is None else found.time.at(place.position)
    row = None if place is None else rows.artifact(organization, artifact)
    if row is None:
        raise NotFound(f"artifact {artifact} does not exist in {organization}" + (f" as of {as_of}" if as_of else ""))
    return int(row["version"])
