"""`longwire serve module:app`: the server, its errors in one line, its exit status.

0 after a signal and a clean drain; 1 if the application does not import, the address cannot be
bound, or its shutdown failed; 2 for a bad option; 3 if the application's start-up failed.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import click

from longwire.cli.options import config_options
from longwire.errors import ConfigError, StartupError
from longwire.server.config import Config

EXIT_FAILURE = 1


class GroupedCommand(click.Command):
    """A command whose --help lists the options under the headings of Config's groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = {item.name: item.metadata["group"] for item in fields(Config)}
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(groups.get(parameter.name or "", "Other"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


@click.command(cls=GroupedCommand)
@click.argument("app", envvar="LONGWIRE_APP")
@config_options
def serve(**options: Any) -> None:
    """Serve APP, an ASGI application given as module:attribute.

    Each option can also be set as LONGWIRE_<NAME> in the environment.
    """
    sys.exit(run_server(options))


def run_server(options: dict[str, Any]) -> int:
    """Serve until a signal comes; return the exit status, having said on stderr why."""
    import longwire

    try:
        return longwire.run(**options)
    except (ConfigError, StartupError) as error:
        click.echo(f"longwire: {error}", err=True)
        return error.exit_status
    except KeyboardInterrupt:
        return EXIT_FAILURE
