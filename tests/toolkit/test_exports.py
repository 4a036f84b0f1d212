"""Public means exported, documented in its docstring and in docs/toolkit.md, and importable."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULES = ("longwire", "longwire.documents", "longwire.toolkit", "longwire.toolkit.testing")
DOCUMENTATION = Path(__file__).parent.parent.parent / "docs"


def exported(module: str) -> list[tuple[str, Any]]:
    loaded = importlib.import_module(module)
    return [(name, getattr(loaded, name)) for name in loaded.__all__]


NAMES = [(module, name, value) for module in MODULES for name, value in exported(module)]


@pytest.mark.parametrize("module", MODULES)
def test_all_is_sorted_and_complete(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__all__ == sorted(loaded.__all__, key=lambda name: (name.upper() != name, name))
    assert len(set(loaded.__all__)) == len(loaded.__all__)


def is_ours(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("longwire")


@pytest.mark.parametrize(
    ("module", "name", "value"), NAMES, ids=[f"{module}.{name}" for module, name, _ in NAMES]
)
def test_every_public_name_has_a_docstring(module: str, name: str, value: Any) -> None:
    if not is_ours(value):
        return  # starlette's own, as WebSocketState
    assert inspect.getdoc(value), f"{name} has no docstring"
    if inspect.isclass(value):
        for method, member in vars(value).items():
            if not method.startswith("_") and (inspect.isroutine(member) or _is_property(member)):
                assert inspect.getdoc(member), f"{name}.{method} has no docstring"


def _is_property(member: Any) -> bool:
    return isinstance(member, property)


@pytest.mark.parametrize("name", sorted({name for _, name, _ in NAMES} - {"__version__"}))
def test_every_public_name_is_in_the_documentation(name: str) -> None:
    pages = "".join(page.read_text("utf-8") for page in DOCUMENTATION.glob("*.md"))
    assert f"`{name}" in pages or f"{name}(" in pages or f"import {name}" in pages, name


def test_the_server_starts_without_the_toolkit() -> None:
    code = (
        "import sys, longwire, longwire.server.server, longwire.cli;"
        "assert not {'starlette', 'httpx2', 'msgspec'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import longwire

    with pytest.raises(AttributeError, match="no attribute 'Websocket'"):
        longwire.Websocket  # noqa: B018
