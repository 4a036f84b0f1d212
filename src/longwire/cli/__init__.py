"""The command `longwire`."""

from longwire.cli.command import main

__all__ = ["main"]
