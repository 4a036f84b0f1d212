"""The command group; each subcommand has a module of its own."""

from __future__ import annotations

import click

from longwire import __version__
from longwire.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="longwire")
def main() -> None:
    """WebSockets for Python: serve an ASGI application."""


main.add_command(serve)
