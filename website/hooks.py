"""What mkdocs makes of the code: the reference's names, and the table of the command's options.

A page says `<!-- names of longwire.hub, first Hub Member -->` or `<!-- options -->` in a line of
its own; what stands in its place on the site comes from `__all__`, from docstrings and from
Config's fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from importlib import import_module
from inspect import isclass
from typing import Any

import click

from longwire.cli.serve import serve
from longwire.server.config import Config

NOT_FOR_CALLERS = re.compile(r"is how it is called\.$")
"""Ends the docstring of a method that is public for its siblings only."""

PAGES = ("longwire.toolkit", "longwire.hub", "longwire.documents", "longwire.errors")
"""Where the names that `longwire` gives out are at home."""

NAMES = re.compile(r"^<!-- names of ([a-z.]+)(?:, first ([\w ]+))? -->$", re.MULTILINE)
OPTIONS = re.compile(r"^<!-- options -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **unused: Any) -> str:
    """Put the generated parts in their places."""
    markdown = NAMES.sub(lambda match: "\n".join(reference_of(*match.groups(""))), markdown)
    return OPTIONS.sub(lambda match: "\n".join(option_tables()), markdown)


def public_names(module: str) -> list[str]:
    """Return the names that a module gives out; of longwire.errors, its classes in order."""
    namespace = import_module(module)
    names = getattr(namespace, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(namespace).items()
            if isclass(value) and value.__module__ == module
        ]
    return [name for name in names if not name.startswith("__")]


def reference_of(module: str, first: str) -> Iterator[str]:
    """Write what mkdocstrings reads: one directive for each public name, or where it is."""
    elsewhere = []
    for name in dict.fromkeys([*first.split(), *public_names(module)]):
        value = getattr(import_module(module), name)
        home = getattr(value, "__module__", module) if isclass(value) or name == "run" else module
        if home.startswith("starlette"):
            elsewhere.append(f"| `{module}.{name}` | `{home}.{name}`, starlette's own |")
        elif module == "longwire" and name != "run":
            page = next(page for page in PAGES if name in public_names(page))
            elsewhere.append(f"| `longwire.{name}` | [`{page}.{name}`][{page}.{name}] |")
        else:
            yield f"\n::: {module}.{name}"
            yield "    options:"
            yield f"      filters: {json.dumps(['!^_[^_]', *methods_for_siblings(value)])}"
            if isclass(value) and issubclass(value, Enum):
                yield "      show_if_no_docstring: true"  # its values
            yield ""
    if elsewhere:
        yield "\n## Names that are at home elsewhere\n\n| name | is |\n|---|---|"
        yield from elsewhere


def methods_for_siblings(value: Any) -> list[str]:
    """Return filters against methods whose docstrings say that others call them."""
    if not isclass(value):
        return []
    return [
        f"!^{name}$"
        for name, method in vars(value).items()
        if callable(method) and NOT_FOR_CALLERS.search((method.__doc__ or "").strip())
    ]


def option_tables() -> Iterator[str]:
    """Write one table for each group of options, as the command line has them."""
    parameters = {parameter.name: parameter for parameter in serve.params}
    group = ""
    for item in fields(Config):
        parameter = parameters[item.name]
        if not isinstance(parameter, click.Option):
            continue
        if item.metadata["group"] != group:
            group = item.metadata["group"]
            yield f"\n## {group}\n\n| option | default | what it is |\n|---|---|---|"
        flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
        yield f"| {flags} | {_default(item.default)} | {_help(item)} |"


def _default(value: Any) -> str:
    if value is True or value is False:
        return "on" if value else "off"
    return "" if value in (None, "", ()) else f"`{value}`"


def _help(item: Any) -> str:
    """Return the help, with the values there are."""
    text: str = item.metadata["help"].replace("|", "\\|").replace("*", "\\*")
    choices, low, high = (item.metadata[key] for key in ("choices", "low", "high"))
    if choices:
        return f"{text}: " + ", ".join(f"`{choice}`" for choice in choices)
    if low and high is not None:
        return f"{text}; {low:g} to {high:g}"
    return f"{text}; at least {low:g}" if low else text
