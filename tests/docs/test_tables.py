"""The tables that compare: uvicorn's options with ours, close codes with who sends them."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import click

from longwire.asgi import is_sendable_code
from longwire.cli.serve import serve
from tests.docs.pages import PAGES, ROOT

FLAG = re.compile(r"`(--[a-z0-9-]+)`")


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {
        parameter.opts[0]: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.opts[0] not in ("--help", "--version")
    }


def section(heading: str) -> set[str]:
    """Return the options of a list, or of the first column of a table, below a heading."""
    page = PAGES["how-to/from-uvicorn.md"].read_text("utf-8")
    text = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    return set(FLAG.findall("\n".join(rows) if rows else text))


def default(option: click.Option) -> Any:
    """Return the default, where "nothing" has several spellings."""
    value = option.default
    return None if value in (None, "", (), ".") or "UNSET" in repr(value) else value


def test_every_option_of_either_server_has_its_place() -> None:
    theirs = options_of(import_module("uvicorn.main").main)
    ours = options_of(serve)
    same, differ = section("Options that are the same"), section("Options that differ")
    assert section("Options that are not here") == set(theirs) - set(ours)
    assert section("Options that are more") == set(ours) - set(theirs)
    assert same | differ == set(ours) & set(theirs)
    assert not same & differ
    # --log-level and --workers have their default in another place there.
    for flag in same - {"--log-level", "--workers"}:
        assert default(theirs[flag]) == default(ours[flag]), flag
        assert theirs[flag].secondary_opts == ours[flag].secondary_opts, flag


def test_the_table_of_close_codes_has_them_all() -> None:
    page = PAGES["concepts/close-codes.md"].read_text("utf-8")
    rows = {int(code) for code in re.findall(r"^\| (1\d{3}) \|", page, re.MULTILINE)}
    sendable = {code for code in range(1000, 3000) if is_sendable_code(code)}
    assert rows == sendable | {1005, 1006, 1010}  # never sent by us


def test_links_from_outside_of_the_site_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "examples/README.md"):
        path = ROOT / name
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8")):
            assert "://" in link or (path.parent / link).exists(), f"{name}: {link}"
