"""The editor: people in one document, and what they write while lines break and servers restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from longwire.documents import Documents, SqliteStore
from tests.browser.conftest import APP, Line, Visit, skip
from tests.ports import fixed_port
from tests.process import ROOT, Process, running

pytestmark = [pytest.mark.timeout(240)]

MODULES = ROOT / ".artifacts" / "npm" / "node_modules"
NODE = shutil.which("node") or shutil.which("nodejs")
SECONDS = float(os.environ.get("LONGWIRE_SOAK_SECONDS", "12"))
SETTLED = 30.0
"""Seconds until all have the same, once nobody writes any more."""

RUN = """
    async (command) => {
        const { EditorView } = await import("codemirror");
        const { ySyncFacet } = await import("y-codemirror.next");
        const Y = await import("yjs");
        const view = EditorView.findFromDOM(document.querySelector(".cm-editor"));
        const { ytext } = view.state.facet(ySyncFacet);
        const change = (letter) => {
            const { length } = view.state.doc;
            const at = Math.floor(Math.random() * (length + 1));
            const insert = Math.random() < 0.1 ? "\\n" : letter.repeat(1 + Math.random() * 3);
            const changes = Math.random() < 0.3
                ? { from: at, to: Math.min(length, at + 3) } : { from: at, insert };
            view.dispatch({ changes });
        };
        if (command === "rest") clearInterval(window.editing);
        else if (command !== "text") window.editing = setInterval(change, 40, command);
        const state = [...Y.decodeStateVector(Y.encodeStateVector(ytext.doc))].sort();
        const is_synced = document.getElementById("editor-state").textContent === "connected";
        return { text: view.state.doc.toString(), state, is_synced };
    }
"""


@pytest.fixture(autouse=True)
def modules() -> None:
    if not MODULES.is_dir():
        skip("the editor is not installed: install npm, and run `make modules`")


def write(page: Page, text: str) -> None:
    page.locator(".cm-content").press_sequentially(text)


def text_of(page: Page) -> str:
    return str(page.evaluate(RUN, "text")["text"])


def until(is_so: Callable[[], bool], seconds: float = SETTLED, told: object = None) -> None:
    """Wait for something that no page shows; `told` is what a failure shows."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def stored(path: Path) -> str:
    """Return the document as a server that starts now would find it."""

    async def read() -> str:
        async with Documents(SqliteStore(path)) as documents:
            return await documents.read("notes")

    with ThreadPoolExecutor(1) as thread:  # here, playwright has a loop that runs
        return thread.submit(asyncio.run, read()).result()


def introduce(page: Page, name: str) -> Page:
    expect(page.locator("#editor-state")).to_have_text("connected")
    page.locator("#editor").get_by_label("Shown as").fill(name)
    page.locator(".cm-content").click()
    return page


def test_two_pages_write_and_see_each_other(visit: Visit, demo: Process, store: Path) -> None:
    ada = introduce(visit(demo.url, "editor"), "Ada")
    bob = introduce(visit(demo.url, "editor"), "Bob")
    for page, other in ((ada, "Bob"), (bob, "Ada")):
        expect(page.locator("#editors li")).to_have_count(2)
        expect(page.locator("#editors li.me")).not_to_contain_text(other)
    write(ada, "first line\nsecond line\n")
    expect(bob.locator(".cm-line")).to_have_text(["first line", "second line", ""])
    # A cursor moves with what it stands beside.
    bob.keyboard.press("Control+Home")
    bob.keyboard.press("End")
    expect(ada.locator(".caret")).to_have_attribute("data-name", "Bob")
    expect(ada.locator(".cm-line").first.locator(".caret")).to_have_count(1)
    expect(ada.locator("#editors li", has_text="Bob")).to_contain_text("line 1")
    ada.keyboard.press("Control+Home")
    write(ada, "a title\n")
    expect(ada.locator(".cm-line").nth(1).locator(".caret")).to_have_count(1)
    expect(ada.locator("#editors li", has_text="Bob")).to_contain_text("line 2")
    expect(bob.locator(".cm-line").first).to_have_text("a title")
    expect(bob.locator(".cm-line")).to_have_count(4)
    bob.keyboard.press("Shift+Home")
    expect(ada.locator(".selection")).to_have_text("first line")
    colours = [page.locator("#editors li").first.get_attribute("class") for page in (ada, bob)]
    assert colours[0] != colours[1] or "me" not in str(colours)
    assert text_of(ada) == text_of(bob) == "a title\nfirst line\nsecond line\n"
    # Who leaves is gone, cursor and all.
    bob.close()
    expect(ada.locator("#editors li")).to_have_count(1)
    expect(ada.locator(".caret")).to_have_count(0)


def test_undo_is_of_ones_own_changes(visit: Visit, demo: Process) -> None:
    ada = introduce(visit(demo.url, "editor"), "Ada")
    bob = introduce(visit(demo.url, "editor"), "Bob")
    write(ada, "mine,")
    expect(bob.locator(".cm-line")).to_have_text("mine,")
    bob.keyboard.press("Control+End")
    write(bob, "yours")
    expect(ada.locator(".cm-line")).to_have_text("mine,yours")
    ada.keyboard.press("Control+z")
    expect(bob.locator(".cm-line")).to_have_text("yours")


def test_what_was_written_offline_is_merged(visit: Visit, demo: Process, line: Line) -> None:
    ada = introduce(visit(demo.url, "editor"), "Ada")
    bob = introduce(visit(line.url, "editor"), "Bob")
    line.hang_up()
    expect(bob.locator("#editor-state")).to_contain_text("what you write is kept")
    write(bob, "from the train ")
    write(ada, "from the office ")
    line.mend()
    expect(bob.locator("#editor-state")).to_have_text("connected")
    until(lambda: text_of(ada) == text_of(bob))
    assert sorted(text_of(ada).split()) == ["from", "from", "office", "the", "the", "train"]


def test_names_and_states_of_strangers_are_text(visit: Visit, demo: Process) -> None:
    attack = "<img src=x onerror=1>"
    ada = introduce(visit(demo.url, "editor"), attack)
    bob = introduce(visit(demo.url, "editor"), "Bob")
    write(ada, attack)
    expect(bob.locator(".caret")).to_have_attribute("data-name", attack)
    expect(bob.locator("#editors li", has_text=attack)).to_have_count(1)
    expect(bob.locator(".cm-line")).to_have_text(attack)
    assert bob.locator("#editor img[src]").count() == 0


def test_without_npm_the_tab_says_what_to_install(
    visit: Visit, tmp_path: Path, browser: Any
) -> None:
    # Elsewhere there is no .artifacts.
    with running(APP, "--port=0", "--app-dir", str(ROOT), cwd=tmp_path) as process:
        page = browser.new_context().new_page()
        page.goto(f"{process.url}#editor")
        expect(page.locator("#missing")).to_contain_text("install npm")
        expect(page.locator("#desk")).to_be_hidden()
        page.context.close()


# ---- at random ------------------------------------------------------------------------------


class NodeEditor:
    """editor.cjs, running."""

    def __init__(self, port: int, letter: str) -> None:
        assert NODE is not None
        script = Path(__file__).with_name("editor.cjs")
        address = f"ws://127.0.0.1:{port}/ws/documents"
        self._process = subprocess.Popen(
            [NODE, script, MODULES, address, letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._letter = letter

    def _say(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def edit(self) -> None:
        self._say("edit")

    def rest(self) -> None:
        self._say("rest")

    def look(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        self._say("text")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()


class PageEditor:
    """The same of a page."""

    def __init__(self, page: Page, letter: str) -> None:
        self._page = page
        self._letter = letter

    def edit(self) -> None:
        self._page.evaluate(RUN, self._letter)

    def rest(self) -> None:
        self._page.evaluate(RUN, "rest")

    def look(self) -> dict[str, Any]:
        look: dict[str, Any] = self._page.evaluate(RUN, "text")
        return look


@pytest.fixture
def lines() -> Iterator[Callable[[int], Line]]:
    made: list[Line] = []

    def make(port: int) -> Line:
        made.append(Line(port))
        return made[-1]

    yield make
    for line in made:
        line.close()


def test_random_editing_converges(visit: Visit, lines: Callable[[int], Line], store: Path) -> None:
    """Two pages and two Node clients; each line breaks now and then, and the server restarts.

    `make soak` is the same for a minute.
    """
    if NODE is None:
        skip("node is not installed")
    port = str(fixed_port())
    ways = [lines(int(port)) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        with running(APP, "--port", port, "--no-access-log") as first:
            assert first.url.endswith(f":{port}")
            editors: list[NodeEditor | PageEditor] = []
            for way, letter in zip(ways[:2], "ab", strict=True):
                page = visit(way.url, "editor")
                expect(page.locator("#editor-state")).to_have_text("connected")
                editors.append(PageEditor(page, letter))
            for way, letter in zip(ways[2:], "cd", strict=True):
                node = NodeEditor(way.port, letter)
                stack.callback(node.close)
                editors.append(node)
            until(lambda: all(editor.look()["is_synced"] for editor in editors))
            for editor in editors:
                editor.edit()
            disturb(ways, SECONDS / 2)
            first.signal(signal.SIGTERM)
            assert first.exit_status() == 0
        with running(APP, "--port", port, "--no-access-log") as second:
            assert second.url.endswith(f":{port}")
            disturb(ways, SECONDS / 2)
            for editor in editors:
                editor.rest()
            looks: list[dict[str, Any]] = []

            def agree() -> bool:
                looks[:] = [editor.look() for editor in editors]
                # The same states have the same insertions; deletions are in none of them.
                return all(look["is_synced"] and look == looks[0] for look in looks)

            until(agree, SETTLED, looks)
            text = looks[0]["text"]
            second.signal(signal.SIGTERM)
            assert second.exit_status() == 0
    assert set("abcd") <= set(text)
    assert stored(store) == text


def disturb(ways: list[Line], seconds: float) -> None:
    """Break one line after the other, at random, for so long; in the end all carry again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(random.uniform(0.2, 0.8))
        way = random.choice(ways)
        way.hang_up()
        time.sleep(random.uniform(0.0, 1.0))
        way.mend()
