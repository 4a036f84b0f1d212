"""The inspector: messages both ways, and the codes that connections end with."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.process import Process

pytestmark = [pytest.mark.timeout(120)]


@pytest.fixture
def page(visit: Visit, demo: Process) -> Page:
    return visit(demo.url, "inspector")


def press(page: Page, name: str) -> None:
    page.locator("#inspector").get_by_role("button", name=name, exact=True).click()


def last(page: Page) -> Locator:
    return page.locator("#messages li").last


def test_text_and_binary(page: Page) -> None:
    press(page, "Connect")
    expect(page.locator("#inspector-state")).to_have_text("connected to /ws/echo")
    expect(page.locator("#details")).to_contain_text("permessage-deflate")
    page.get_by_label("What to send").fill("grüße")
    press(page, "Send as text")
    lines = page.locator("#messages li")
    expect(lines).to_have_count(3)
    expect(lines.nth(1)).to_contain_text(re.compile("sent text.*7 B.*grüße"))
    expect(lines.nth(2)).to_contain_text(re.compile("received text.*7 B.*grüße"))
    press(page, "Send as binary")
    expect(last(page)).to_contain_text(re.compile("received binary.*7 B.*67 72 c3 bc c3 9f 65"))
    expect(lines.nth(4).locator("time")).to_have_attribute("datetime", re.compile(r"^20.*Z$"))
    press(page, "Clear")
    expect(lines).to_have_count(0)


@pytest.mark.parametrize(
    ("button", "code", "told"),
    [
        ("From this page", "4001", "closed by this page: 4001, the application’s own: “bye”"),
        ("From the server", "4999", "closed by the server: 4999, the application’s own: “bye”"),
        ("From the server", "1011", "closed by the server: 1011, internal error: “bye”"),
        ("From the server", "1012", "closed by the server: 1012, service restart: “bye”"),
        ("From this page", "1000", "closed by this page: 1000, normal: “bye”"),
    ],
)
def test_a_close_with_a_code(page: Page, button: str, code: str, told: str) -> None:
    press(page, "Connect")
    expect(page.locator("#inspector-state")).to_have_text("connected to /ws/echo")
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_label("Reason", exact=True).fill("bye")
    press(page, button)
    expect(page.locator("#inspector-state")).to_have_text(told)
    expect(last(page)).to_contain_text(told.partition(": ")[2])


def test_a_code_that_may_not_be_sent(page: Page) -> None:
    press(page, "Connect")
    expect(page.locator("#inspector-state")).to_have_text("connected to /ws/echo")
    page.get_by_label("Code", exact=True).fill("1006")
    press(page, "From this page")
    expect(page.locator("#inspector-state")).to_contain_text("a page may not close with 1006")
    press(page, "From the server")
    expect(last(page)).to_contain_text("close code 1006 may not be sent")
    expect(page.locator("#inspector-state")).to_have_text("connected to /ws/commands")


def test_provocations(page: Page) -> None:
    state = page.locator("#inspector-state")
    press(page, "Over the limit")
    expect(state).to_contain_text("closed by the server: 1009, message too big")
    expect(page.locator("#messages .sent")).to_contain_text("65,536 B")
    press(page, "Invalid JSON")
    expect(state).to_contain_text("closed by the server: 1003, unsupported data: “expected JSON")
    page.get_by_text("A drain").click()
    expect(page.get_by_text("it tells every socket 1012")).to_be_visible()


def test_the_round_trip(page: Page) -> None:
    press(page, "Measure the round trip")
    expect(page.locator("#round-trip-time")).to_have_text(
        re.compile(r"[\d.]+ ms at best, [\d.]+ ms in the middle, of 5")
    )
    expect(page.locator("#messages .received")).to_have_count(5)


def test_any_socket_of_the_page(page: Page) -> None:
    page.get_by_label("Socket").select_option("/ws/dashboard")
    press(page, "Connect")
    expect(page.locator("#messages .received").first).to_contain_text('"memory"')
    page.get_by_label("Socket").select_option("/ws/chat")
    press(page, "Connect")
    page.get_by_label("What to send").fill("no chat message")
    press(page, "Send as text")
    expect(page.locator("#inspector-state")).to_contain_text("closed by the server: 1003")


def test_two_pages_have_connections_of_their_own(visit: Visit, demo: Process) -> None:
    ada, bob = visit(demo.url, "inspector"), visit(demo.url, "inspector")
    for page in (ada, bob):
        press(page, "Connect")
        expect(page.locator("#inspector-state")).to_have_text("connected to /ws/echo")
    press(ada, "From the server")
    expect(ada.locator("#inspector-state")).to_contain_text("closed by the server")
    press(bob, "Send as text")
    expect(last(bob)).to_contain_text("received text")


def test_what_servers_send_is_text(page: Page) -> None:
    press(page, "Connect")
    expect(page.locator("#inspector-state")).to_have_text("connected to /ws/echo")
    page.get_by_label("What to send").fill("<img src=x onerror=1>")
    press(page, "Send as text")
    expect(last(page)).to_contain_text("<img src=x onerror=1>")
    assert page.locator("#inspector img").count() == 0
