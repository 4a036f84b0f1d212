"""Debian's chromium, the demo as its command serves it, and a line between them that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from examples.demo.editor import STORE
from tests.process import ROOT, Process, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = ROOT / ".artifacts" / "screenshots"
APP = "examples.demo.app:app"
PATIENCE = 30_000
"""Milliseconds for anything on a page."""

expect.set_options(timeout=PATIENCE)  # for all tests with a browser, in whatever folder

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        skip("chromium is not installed: `apt-get install chromium` lets the browser tests run")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def skip(reason: str) -> None:
    """Skip, unless the run is one in which nothing may be missing."""
    if os.environ.get("LONGWIRE_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the demo that a test starts keeps its document."""
    path = tmp_path / "documents.sqlite"
    monkeypatch.setenv(STORE, str(path))
    return path


@pytest.fixture
def demo() -> Iterator[Process]:
    # Nobody is to be taken for gone while a line is dead, or a page late with its pong.
    with running(APP, "--port=0", "--no-access-log", "--ws-ping-timeout=90") as process:
        yield process


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a tab of the page in a context of its own; in the end no page may have complained."""
    faults: list[str] = []
    contexts = []

    def visit(url: str, tab: str = "chat", **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.goto(f"{url}#{tab}")
        return page

    yield visit
    for context in contexts:
        context.close()
    # A browser says so too when a server is away; the pages have to live with that.
    assert [fault for fault in faults if "WebSocket connection to" not in fault] == []


def enter(page: Page, name: str, room: str = "general") -> Page:
    """Join a room of the chat."""
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Room", exact=True).fill(room)
    page.get_by_role("button", name="Join").click()
    page.locator("#chat-state", has_text=f"connected as {name}").wait_for()
    return page


def until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait for something that no element of a page shows by itself."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        page.wait_for_timeout(50)  # meanwhile the page's events are heard


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def picture(name: str) -> Path:
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES / f"{name}.png"


class Line:
    """A TCP line to a server that can be cut: silently, when neither end is told, or hung up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_cut = threading.Event()  # for the connections that there are; the next have theirs
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._start(self._accept)

    def cut(self) -> None:
        """Carry nothing, let nobody in, and say nothing."""
        self._is_cut.set()

    def hang_up(self) -> None:
        """End all connections, and let nobody in."""
        self.cut()
        ends, self._ends = self._ends, []
        for end in ends:
            _end(end)

    def mend(self) -> None:
        """Carry new connections; the old ones stay dead."""
        self._is_cut = threading.Event()

    def close(self) -> None:
        self.hang_up()
        _end(self._listener)

    def _start(self, run: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=run, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                is_cut = self._is_cut
                try:
                    if is_cut.is_set():
                        raise ConnectionRefusedError
                    far = socket.create_connection(("127.0.0.1", self._port))
                except ConnectionRefusedError:
                    near.close()
                    continue
                self._ends.extend((near, far))
                if is_cut.is_set():  # meanwhile: who hung up has not seen these two
                    _end(near)
                    _end(far)
                    continue
                self._start(self._carry, near, far, is_cut)
                self._start(self._carry, far, near, is_cut)

    def _carry(self, source: socket.socket, target: socket.socket, is_cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not is_cut.is_set():
                    target.sendall(data)
            if not is_cut.is_set():
                target.shutdown(socket.SHUT_WR)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


@pytest.fixture
def line(demo: Process) -> Iterator[Line]:
    line = Line(int(demo.url.rpartition(":")[2].strip("/")))
    yield line
    line.close()
