"""``metaqore``: one command, one module for each subcommand, imported only when it is asked for."""

from __future__ import annotations

import importlib

import click

from metaqore import __version__
from metaqore.errors import MetaQoreError

#: subcommand → (module, attribute)
COMMANDS = {
    "up": ("metaqore.cli.up", "command"),
    "demo": ("metaqore.cli.demo.command", "command"),
    "attack": ("metaqore.cli.attack.command", "command"),
    "merge": ("metaqore.cli.merge", "command"),
    "security": ("metaqore.cli.security", "group"),
    "policy": ("metaqore.cli.policy", "group"),
    "privacy": ("metaqore.cli.privacy", "group"),
    "audit": ("metaqore.cli.audit", "group"),
    "compliance": ("metaqore.cli.compliance", "group"),
    "webhooks": ("metaqore.cli.webhooks", "group"),
    "db": ("metaqore.cli.db", "group"),
    "keys": ("metaqore.cli.keys", "group"),
    "specialists": ("metaqore.cli.specialists", "command"),
    "approvals": ("metaqore.cli.approvals", "group"),
    "stops": ("metaqore.cli.stops", "group"),
}


class Lazy(click.Group):
    """A group whose subcommands are imported when they are used: ``metaqore --help`` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a subcommand; an error of ours, or a file that cannot be used, is one clear line, not a traceback."""
        try:
            return super().invoke(ctx)
        except MetaQoreError as error:
            raise click.ClickException(error.message) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="metaqore")
def main() -> None:
    """Admission control and a merge queue for what AI agents produce."""
