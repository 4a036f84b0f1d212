"""The demo as a person meets it: the real command, and Debian's chromium."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

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

pytestmark = [pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        reason = "chromium is not installed: `apt-get install chromium` lets the browser tests run"
        if os.environ.get("LONGWIRE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def demo() -> Iterator[Process]:
    with running(APP, "--port=0", "--no-access-log") as process:
        yield process


def enter(browser: Browser, url: str, name: str, room: str = "general", **context: Any) -> Page:
    """Open the page in a context of its own, and join."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(10_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.faults = faults  # type: ignore[attr-defined]
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Room", exact=True).fill(room)
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#state")).to_have_text(f"connected as {name}")
    return page


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def test_two_pages_chat(browser: Browser, demo: Process) -> None:
    ada, bob = enter(browser, demo.url, "Ada"), enter(browser, demo.url, "Bob")
    for page in (ada, bob):
        expect(page.locator("#people li")).to_have_text(["Ada", "Bob"])
    say(ada, "hello from Ada")
    say(bob, "hello back")
    for page in (ada, bob):
        expect(page.locator("#log .said p")).to_have_text(["hello from Ada", "hello back"])
        assert page.faults == []  # type: ignore[attr-defined]
    bob.get_by_role("button", name="Leave").click()
    expect(ada.locator("#people li")).to_have_text(["Ada"])
    expect(ada.locator("#log .note").last).to_have_text("Bob left")


def test_rooms_are_separate(browser: Browser, demo: Process) -> None:
    ada = enter(browser, demo.url, "Ada", "blue")
    bob = enter(browser, demo.url, "Bob", "red")
    say(ada, "only blue")
    expect(ada.locator("#log .said p")).to_have_text(["only blue"])
    say(bob, "only red")
    expect(bob.locator("#log .said p")).to_have_text(["only red"])
    expect(bob.locator("#people li")).to_have_text(["Bob"])


def test_what_strangers_write_is_text(browser: Browser, demo: Process) -> None:
    attack = "<img src=x onerror=1>"
    ada, bob = enter(browser, demo.url, attack), enter(browser, demo.url, "Bob")
    say(ada, "<script>document.title='owned'</script>")
    expect(bob.locator("#log .said strong")).to_have_text(attack)
    expect(bob.locator("#log .said p")).to_have_text("<script>document.title='owned'</script>")
    expect(bob).to_have_title("Longwire chat")
    assert bob.locator("#log img").count() == 0


def test_the_page_returns_to_its_room_after_a_restart(browser: Browser) -> None:
    port = fixed_port()
    with running(APP, "--port", port) as first:
        url = first.url
        ada = enter(browser, url, "Ada", "workshop")
        first.signal(signal.SIGTERM)
        assert first.exit_status() == 0
        expect(ada.locator("#state")).to_have_text("server restarting, reconnecting…")
        ada.screenshot(path=picture("restarting"))
    with running(APP, "--port", port) as second:
        assert second.url == url
        expect(ada.locator("#state")).to_have_text("connected as Ada", timeout=25_000)
        expect(ada.locator("#people li")).to_have_text(["Ada"])
        say(ada, "still here")
        expect(ada.locator("#log .said p")).to_have_text(["still here"])


def test_keyboard_alone(browser: Browser, demo: Process) -> None:
    page = browser.new_context().new_page()
    page.goto(demo.url)
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("connected as Ada")
    page.keyboard.type("no mouse")
    page.keyboard.press("Enter")
    expect(page.locator("#log .said p")).to_have_text(["no mouse"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_pictures(browser: Browser, demo: Process, scheme: str, width: int) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 680}}
    ada = enter(browser, demo.url, "Ada Lovelace", **look)
    bob = enter(browser, demo.url, "Bob")
    for page, text in (
        (bob, "Good morning! Did the deploy go through?"),
        (ada, "It did. The sockets were told 1012 and came back by themselves."),
        (bob, "Nobody noticed, then. That is how I like it."),
    ):
        say(page, text)
        expect(ada.locator("#log .said p").last).to_have_text(text)
    ada.screenshot(path=picture(f"{scheme}-{width}"))
    # Nothing has to be scrolled sideways to be seen.
    assert ada.evaluate("document.documentElement.scrollWidth") <= width


def fixed_port() -> str:
    """Return a free port that nobody is given while the server is away.

    Below the ephemeral ports: a browser that tries to reconnect to one of those may be given it as
    its own, and then has it connected to itself.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return str(port)


def picture(name: str) -> Path:
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES / f"{name}.png"
