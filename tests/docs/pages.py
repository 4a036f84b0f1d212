"""The pages as what they are to a reader: blocks of code in order, and remarks for the tests.

A remark is a comment in the page's source, right in front of a block; readers of the site do not
see it:

    <!-- not run: why -->                       the block cannot run; test_blocks.py has the list
    <!-- goes on -->                            it stands behind the block before, in one module
    <!-- in app.py, instead of the line: x -->  it takes the place of the line that begins so
    <!-- in the folder of tutorial/x.md -->     at the top: that page's files are there
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = {
    "README.md": ROOT / "README.md",
    "CONTRIBUTING.md": ROOT / "CONTRIBUTING.md",
    **{path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))},
}

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w.+-]*)(?P<rest>[^\n`]*)$")
TITLE = re.compile(r'title="([^"]+)"')
REMARK = re.compile(r"<!-- (.+) -->")
FOLDER = re.compile(r"^<!-- in the folder of (\S+) -->$", re.MULTILINE)
INSTEAD = re.compile(r"in (\S+), instead of the line: (.+)")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line of code."""

    page: str
    line: int
    language: str
    title: str
    remark: str
    code: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def reason_not_to_run(self) -> str | None:
        kind, _, reason = self.remark.partition(": ")
        return reason if kind == "not run" else None


@cache
def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    blocks: list[Block] = []
    lines = PAGES[page].read_text("utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        end = lines.index(fence["indent"] + "```", at + 1)
        title = TITLE.search(fence["rest"])
        remark = REMARK.fullmatch(lines[at - 1].strip()) if at else None
        blocks.append(
            Block(
                page,
                at + 2,
                fence["language"],
                title[1] if title else "",
                remark[1] if remark else "",
                "".join(line.removeprefix(fence["indent"]) + "\n" for line in lines[at + 1 : end]),
            )
        )
        at = end + 1
    return blocks


def folder_of(page: str) -> str | None:
    """Return the page whose files this one begins with."""
    named = FOLDER.search(PAGES[page].read_text("utf-8"))
    return named[1] if named else None


def write_files(page: str, folder: Path) -> None:
    """Write what a reader has in the folder at the end of a page."""
    before = folder_of(page)
    if before is not None:
        write_files(before, folder)
    for block in blocks_of(page):
        write_file(block, folder)


def write_file(block: Block, folder: Path) -> Path | None:
    """Write the block if it is a file, or changes one; return which."""
    instead = INSTEAD.fullmatch(block.remark)
    if instead is not None:
        path = folder / instead[1]
        lines = path.read_text("utf-8").splitlines(keepends=True)
        (at,) = (number for number, line in enumerate(lines) if line.startswith(instead[2]))
        path.write_text("".join([*lines[:at], block.code, *lines[at + 1 :]]), "utf-8")
        return path
    if "." not in block.title or " " in block.title:
        return None
    path = folder / block.title
    path.write_text(block.code, "utf-8")
    return path
