"""Load the interpreted twins of the compiled modules, in this process and in those it starts.

pytest --pure                        the whole suite on the interpreted modules
python -m tests.pure longwire ...    `python -m longwire ...` on them
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).parent.parent / "src" / "longwire"
PURE = "LONGWIRE_TEST_PURE"


class InterpretedFinder(importlib.abc.MetaPathFinder):
    """Finds longwire's modules by their .py files, before any .so beside them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("longwire."):
            return None
        source = SOURCE.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if not source.exists():
            return None  # a package: it is interpreted anyway
        return importlib.util.spec_from_file_location(name, source)


def install() -> None:
    """Use the interpreted modules from now on, here and in subprocesses made with `python()`."""
    os.environ[PURE] = "1"
    sys.meta_path.insert(0, InterpretedFinder())


def is_installed() -> bool:
    return any(isinstance(finder, InterpretedFinder) for finder in sys.meta_path)


def python(*arguments: str) -> list[str]:
    """Return the command of `python -m arguments…`, on the same modules as this process."""
    if os.environ.get(PURE) == "1":
        return [sys.executable, "-m", "tests.pure", *arguments]
    return [sys.executable, "-m", *arguments]


def main() -> None:
    install()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
