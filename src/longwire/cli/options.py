"""Command line options made from Config's fields: one source for names, defaults and help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from longwire.asgi import Header
from longwire.server.config import Config

ENVIRONMENT = "LONGWIRE_"

FLAG_PAIRS = frozenset(
    ("server_header", "date_header", "access_log", "use_colors", "proxy_headers")
)
"""Booleans that are --name/--no-name, as uvicorn has them; ws_per_message_deflate takes a value."""

FLAGS = frozenset(("factory", "reload", "proxy_protocol", "ws_deflate_no_context_takeover"))
"""Booleans that are off unless they are named."""

NOT_OPTIONS = frozenset(("app",))
RENAMED = {"headers": "header"}

KINDS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}


class HeaderType(click.ParamType[Header]):
    """name:value"""

    name = "name:value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Header:
        if isinstance(value, tuple):
            return value
        name, colon, text = str(value).partition(":")
        if not colon:
            self.fail(f"{value!r} is not name:value", param, ctx)
        return name.strip().lower().encode("latin-1"), text.strip().encode("latin-1")


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command one option for every field of Config."""
    for item in reversed(fields(Config)):
        if item.name not in NOT_OPTIONS:
            command = _option(item)(command)
    return command


def _option(item: Field[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    name = RENAMED.get(item.name, item.name)
    flag = "--" + name.replace("_", "-")
    arguments: dict[str, Any] = {
        "default": item.default,
        "help": item.metadata["help"],
        "envvar": ENVIRONMENT + name.upper(),
        "show_default": item.default not in (None, "", (), False) and item.name not in FLAG_PAIRS,
    }
    kind = str(item.type).split(" | ")[0]
    if item.name in FLAG_PAIRS:
        return click.option(f"{flag}/--no-{flag[2:]}", item.name, **arguments)
    if item.name == "headers":
        return click.option(flag, item.name, multiple=True, type=HeaderType(), **arguments)
    if item.name in FLAGS:
        return click.option(flag, item.name, is_flag=True, **arguments)
    if kind.startswith("tuple"):
        one = KINDS[kind.removeprefix("tuple[").partition(",")[0]]
        return click.option(flag, item.name, multiple=True, type=one, **arguments)
    if item.name == "workers":
        arguments["envvar"] = [arguments["envvar"], "WEB_CONCURRENCY"]  # as with uvicorn
    return click.option(flag, item.name, type=KINDS[kind], **arguments)
