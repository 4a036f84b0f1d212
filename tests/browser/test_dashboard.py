"""The dashboard: what two pages see of the server, while it has something to do."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from math import floor

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.conftest import Visit, enter, until
from tests.process import Process

pytestmark = [pytest.mark.timeout(120)]

RECORD_ANNOUNCEMENTS = """
    () => {
        window.announced = [];
        const live = "[aria-live]:not([aria-live=off]), [role=status], [role=log], [role=alert]";
        for (const region of document.querySelectorAll(live))
            new MutationObserver(() => announced.push(region.textContent))
                .observe(region, { childList: true, characterData: true, subtree: true });
    }
"""


RECORD_RATES = """
    () => {
        window.rates = [];
        const shown = document.querySelector("[data-rate=received]");
        new MutationObserver(() => rates.push(Number(shown.textContent)))
            .observe(shown, { childList: true });
    }
"""

READ_ROWS = """
    (rows) => rows.map((row) => [...row.cells].slice(1).map((cell) => Number(cell.textContent)))
"""

RATES = ("received", "sent", "delivered")


def figure(page: Page, name: str) -> str:
    return page.locator(f"[data-figure={name}]").inner_text()


def listen(page: Page) -> list[dict[str, float]]:
    """Return what a page will have been told: figures, about once a second."""
    told: list[dict[str, float]] = []

    def on_socket(socket: WebSocket) -> None:
        if socket.url.endswith("/ws/dashboard"):
            socket.on("framereceived", lambda data: told.append(json.loads(data)))

    page.on("websocket", on_socket)
    return told


def rates_of(told: list[dict[str, float]]) -> list[list[int]]:
    """Return what a page makes of that: how much more each time, in a second by the server's clock.

    Whatever the page, the server or this test may have stood still for.
    """
    return [
        [floor((now[name] - then[name]) / (now["at"] - then["at"]) + 0.5) for name in RATES]
        for then, now in pairwise(told)
    ]


def rows_of(page: Page) -> list[list[int]]:
    """Return what the table has, the last first."""
    rows: list[list[int]] = page.locator("#rows tr").evaluate_all(READ_ROWS)
    return rows


def test_two_pages_see_the_same(visit: Visit, demo: Process) -> None:
    ada, bob = visit(demo.url, "dashboard"), enter(visit(demo.url), "Bob")
    expect(ada.locator("#dashboard-state")).to_have_text("live")
    expect(ada.locator("[data-figure=websockets]")).to_have_text("2")
    expect(ada.locator("[data-figure=rooms]")).to_have_text("2")  # the room, and who types in it
    expect(ada.locator("[data-figure=members]")).to_have_text("1")
    expect(ada.locator("[data-figure=dropped]")).to_have_text("0")
    assert re.fullmatch(r"[\d.]+ MiB", figure(ada, "memory"))
    bob.get_by_role("tab", name="Dashboard").click()
    for page in (ada, bob):
        expect(page.locator("[data-figure=websockets]")).to_have_text("3")


def test_traffic_is_drawn_and_told(visit: Visit, demo: Process) -> None:
    page = visit(demo.url)
    told = listen(page)
    page.evaluate(RECORD_RATES)
    page.get_by_role("tab", name="Dashboard").click()
    expect(page.locator("#rows tr").first).to_be_visible(visible=False)
    page.get_by_text("The same as a table").click()
    expect(page.locator("#rows tr").first).to_be_visible()
    page.evaluate(RECORD_ANNOUNCEMENTS)
    before = told[-1]
    page.get_by_role("button", name="Make some traffic").click()
    expect(page.get_by_role("button", name="Make some traffic")).to_be_disabled()
    expect(page.get_by_role("button", name="Make some traffic")).to_be_enabled(timeout=60_000)
    # Five sockets join, one says a hundred messages, and all have them.
    until(page, lambda: told[-1]["received"] == before["received"] + 5 + 100)
    assert told[-1]["delivered"] >= before["delivered"] + 5 * 100
    # All of it is shown, of which there may be more at any time.
    until(page, lambda: rows_of(page) == rates_of(told)[:-11:-1])
    until(page, lambda: page.evaluate("rates") == [received for received, *_ in rates_of(told)])
    until(page, lambda: len(points_of(page)) == len(rates_of(told)))
    most = [max(column) for column in zip(*rates_of(told), strict=True)]
    words = page.locator("#chart-text").inner_text()
    assert [int(number) for number in re.findall(r"\d+", words)] == most
    chart = page.get_by_role("img", name="Messages a second, over the last minute")
    expect(chart).to_have_accessible_description(words)
    # A figure a second is nothing to be read aloud.
    assert page.evaluate("announced") == []


def points_of(page: Page) -> list[str]:
    return (page.locator("#chart polyline.delivered").get_attribute("points") or "").split()


def test_nothing_is_sent_to_who_does_not_look(visit: Visit, demo: Process) -> None:
    ada, bob = visit(demo.url, "dashboard"), visit(demo.url, "dashboard")
    expect(ada.locator("[data-figure=websockets]")).to_have_text("2")
    bob.get_by_role("tab", name="Chat").click()
    expect(ada.locator("[data-figure=websockets]")).to_have_text("1")
    bob.get_by_role("tab", name="Dashboard").click()
    expect(ada.locator("[data-figure=websockets]")).to_have_text("2")
    expect(bob.locator("#dashboard-state")).to_have_text("live")
