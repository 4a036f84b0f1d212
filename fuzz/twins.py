"""Longwire twice in one process: compiled with AddressSanitizer, and interpreted with coverage.

Both are whole packages with classes of their own, so results are compared as plain().
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "longwire"
BUILD = ROOT / ".artifacts" / "fuzz" / "build" / "src"
NAMES = ("engine", "engine.handshake", "engine.headers", "errors")


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a .py file with the calls that report coverage."""

    def get_code(self, fullname: str) -> CodeType | None:
        import atheris  # replaying a corpus needs neither it nor this loader

        code = super().get_code(fullname)
        return None if code is None else atheris.patch_code(code, True)


class InterpretedFinder(importlib.abc.MetaPathFinder):
    """Finds longwire's modules by their .py files, whatever is compiled beside them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "longwire":
            return None
        folder = SOURCE.joinpath(*name.split(".")[1:])
        is_package = folder.is_dir()
        file = folder / "__init__.py" if is_package else folder.with_suffix(".py")
        return importlib.util.spec_from_file_location(
            name,
            file,
            loader=Loader(name, str(file)),
            submodule_search_locations=[str(folder)] if is_package else None,
        )


class Twin:
    """One of the two: its modules by name, without the package's."""

    def __init__(self, kind: str, names: Sequence[str]) -> None:
        self.kind = kind
        _forget()
        for name in names:
            importlib.import_module(f"longwire.{name}")
        self.modules = _forget()

    def __getitem__(self, name: str) -> Any:
        return self.modules[f"longwire.{name}"]


class Imported:
    """What is imported already, in the place of a twin."""

    def __getitem__(self, name: str) -> Any:
        return importlib.import_module(f"longwire.{name}")


AnyTwin = Twin | Imported


def _forget() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "longwire"]
    return {name: sys.modules.pop(name) for name in names}


def load(names: Sequence[str] = NAMES) -> tuple[Twin, Twin]:
    """Return compiled and interpreted."""
    sys.path.insert(0, str(BUILD))
    compiled = Twin("compiled", names)
    sys.path.remove(str(BUILD))
    file = compiled["engine.connection"].__file__
    if not file.startswith(str(BUILD)) or file.endswith(".py"):
        raise SystemExit(f"not the compiled modules of {BUILD}: {file}")
    finder = InterpretedFinder()
    sys.meta_path.insert(0, finder)
    interpreted = Twin("interpreted", names)
    sys.meta_path.remove(finder)
    return compiled, interpreted


def plain(value: Any) -> Any:
    """Return the value so that twins of it are equal, and values of different types are not."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return (type(value).__name__, *value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytearray):
        return bytes(value)
    if hasattr(type(value), "__slots__") and type(value).__module__.startswith("longwire."):
        names = [name for name in dir(value) if not name.startswith("_")]
        return (type(value).__name__, [plain(getattr(value, name)) for name in names
                                       if not callable(getattr(value, name))])  # fmt: skip
    return value


def outcome(
    twin: AnyTwin, allowed: Sequence[str], function: Any, *arguments: Any, **named: Any
) -> Any:
    """Return the plain result, or the error if it is one of longwire.errors' `allowed`."""
    kinds = tuple(getattr(twin["errors"], name) for name in allowed)
    try:
        return plain(function(*arguments, **named))
    except kinds as error:
        return ("raised", type(error).__name__, str(error))


def same(what: str, compiled: Any, interpreted: Any) -> None:
    """Raise AssertionError unless both did the same."""
    if compiled != interpreted:
        raise AssertionError(f"{what}: compiled {compiled!r}, interpreted {interpreted!r}")
