"""What of the blocks has been executed: lines of Python, read texts, scripts that ended well."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests import pure
from tests.documents.stand_ins import SERVED_AT

BLOCKS = Path(__file__).parent / "blocks"
PATIENCE = 15.0

executed_lines: defaultdict[str, set[int]] = defaultdict(set)
used: set[str] = set()
outcomes: dict[str, str] = {}
"""By "module.function": passed if all its cases have."""


def note_outcome(nodeid: str, outcome: str) -> None:
    """Note how a phase of a case of a test ended: passed, failed or skipped."""
    path, _, function = nodeid.partition("::")
    test = f"{Path(path).stem}.{function.partition('[')[0]}"
    if outcomes.get(test, "passed") == "passed":
        outcomes[test] = outcome


def text_of(name: str) -> str:
    """Return a block that is no Python; the test that asks for it carries it out."""
    used.add(name)
    return (BLOCKS / name).read_text()


async def run_script(name: str, served_at: str) -> str:
    """Run a block that is a whole script, to its end; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *pure.python(f"tests.documents.blocks.{Path(name).stem}"),
        cwd=BLOCKS.parent.parent.parent,
        env={**os.environ, SERVED_AT: served_at},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    used.add(name)
    return output.decode()


class Trace:
    """Notes the executed lines of the blocks, in all threads that start meanwhile."""

    def __init__(self) -> None:
        self._is_on = False

    def start(self) -> bool:
        """Return whether it is possible: a debugger, or a coverage run, goes first."""
        if sys.gettrace() is None:
            self._is_on = True
            sys.settrace(self._on_call)
            threading.settrace(self._on_call)
        return self._is_on

    def stop(self) -> None:
        if self._is_on:
            sys.settrace(None)
            threading.settrace(None)

    def _on_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._on_line if frame.f_code.co_filename.startswith(str(BLOCKS)) else None

    def _on_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            executed_lines[Path(frame.f_code.co_filename).name].add(frame.f_lineno)
        return self._on_line


def lines_of_functions(path: Path) -> set[int]:
    """Return the lines that executing every function of a module executes."""
    tree = ast.parse(path.read_text())
    statements = {
        statement.lineno
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for statement in ast.walk(function)
        if isinstance(statement, ast.stmt) and statement is not function
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    }
    return statements & set(_lines_with_code(compile(tree, str(path), "exec")))


def _lines_with_code(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines_with_code(constant)
