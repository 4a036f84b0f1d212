"""The table of the documents' blocks: complete, and every line of every block executed."""

from __future__ import annotations

import importlib

import pytest

from tests.documents import execution
from tests.documents.execution import executed_lines, lines_of_functions, outcomes, used
from tests.documents.manifest import API, BLOCKS, CHAPTER, CONCEPTS, SCRIPTS, Block


def test_as_many_blocks_as_the_documents_have() -> None:
    assert (len(CONCEPTS), len(API), len(CHAPTER)) == (1, 12, 14)
    assert len({block.file for block in BLOCKS}) == len(BLOCKS)


def test_every_file_is_in_the_table() -> None:
    files = {path.name for path in execution.BLOCKS.iterdir() if path.is_file()}
    assert files - {"__init__.py"} == {block.file for block in BLOCKS}


@pytest.mark.parametrize("test", sorted({test for block in BLOCKS for test in block.tests}))
def test_every_test_exists(test: str) -> None:
    module, _, function = test.partition(".")
    assert callable(getattr(importlib.import_module(f"tests.documents.{module}"), function))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.heading)
def test_every_block_has_been_executed(block: Block, traced: bool) -> None:
    """By the tests of this run, which come before this one."""
    for test in block.tests:
        outcome = outcomes.get(test, "not selected")
        if outcome in ("not selected", "skipped"):
            pytest.skip(f"{test} was {outcome}")
        assert outcome == "passed", test
    if block.file in SCRIPTS or not block.file.endswith(".py"):
        assert block.file in used
        return
    if not traced:
        pytest.skip("something else traces this run")
    lines = lines_of_functions(execution.BLOCKS / block.file)
    assert lines - executed_lines[block.file] == set()
