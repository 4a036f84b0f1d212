"""The chapter's JavaScript, in a real browser: what is typed into its console, and its page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.documents.execution import text_of
from tests.process import Process, running

pytestmark = [pytest.mark.timeout(90)]

BLOCKS = "tests.documents.blocks"


@contextlib.contextmanager
def browser(process: Process) -> Iterator[Browser]:
    """A browser that finds the server where the documents have it, at localhost:8000."""
    if CHROMIUM is None:
        reason = "chromium is not installed: `apt-get install chromium` lets the browser tests run"
        if os.environ.get("LONGWIRE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    address = urlsplit(process.url).netloc
    flags = [*FLAGS, f"--host-resolver-rules=MAP localhost:8000 {address}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def test_the_console() -> None:
    with running(f"{BLOCKS}.ws_app:application", "--port=0") as process:
        with browser(process) as chromium:
            page = chromium.new_page()
            console = page.context.new_cdp_session(page)
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            for line in text_of("browser_console.js").splitlines():
                # A person types the next line when the socket has long been open.
                page.wait_for_function("typeof ws === 'undefined' || ws.readyState === 1")
                options = {"expression": line, "replMode": True, "throwOnSideEffect": False}
                result = console.send("Runtime.evaluate", options)
                assert "exceptionDetails" not in result, result
            if not said:
                page.wait_for_event("console", timeout=10_000)
            assert said == ["Echo: Hello from browser"]


def test_tabs_share_the_chat_room() -> None:
    with running(f"{BLOCKS}.http_and_websocket:application", "--port=0") as process:
        with browser(process) as chromium:
            context = chromium.new_context()
            one = context.new_page()
            one.goto("http://localhost:8000/")
            expect(one).to_have_title("WebSocket Chat")
            one.wait_for_function("ws.readyState === 1")
            two = context.new_page()
            two.goto("http://localhost:8000/")
            expect(one.locator("#log li")).to_contain_text(["A user joined #general"])
            two.wait_for_function("ws.readyState === 1")
            two.get_by_placeholder("Message...").fill("hello from two")
            two.get_by_role("button", name="Send").click()
            for page in (one, two):
                expect(page.locator("#log li").last).to_contain_text('"text": "hello from two"')
            two.close()
            expect(one.locator("#log li").last).to_contain_text("A user left #general")
