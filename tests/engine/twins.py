"""The compiled modules and their interpreted twins, side by side."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from tests.pure import SOURCE, InterpretedFinder


def interpreted(name: str) -> ModuleType:
    """Load an engine module from its .py file, whatever is compiled."""
    spec = importlib.util.spec_from_file_location(
        f"interpreted_{name}", SOURCE / "engine" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def both(name: str) -> pytest.MarkDecorator:
    """Run a test on `module`: as it is imported, compiled or not, and interpreted."""
    imported: Any = importlib.import_module(f"longwire.engine.{name}")
    kind = "interpreted" if imported.__file__.endswith(".py") else "compiled"
    modules = [pytest.param(imported, id=kind)]
    if kind == "compiled":
        modules.append(pytest.param(interpreted(name), id="interpreted"))
    return pytest.mark.parametrize("module", modules)


@cache
def interpreted_engine() -> ModuleType:
    """Load engine/connection.py, and what it is made of, from .py files beside what is imported.

    Modules that are never compiled are shared, events and errors among them.
    """
    package = importlib.import_module("longwire.engine")
    imported = {
        name: module
        for name, module in sys.modules.items()
        if name.startswith("longwire.engine.") and not str(module.__file__).endswith(".py")
    }
    finder = InterpretedFinder()
    for name in imported:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("longwire.engine.connection")
    finally:
        sys.meta_path.remove(finder)
        for name, module in imported.items():
            sys.modules[name] = module
            setattr(package, name.rpartition(".")[2], module)
