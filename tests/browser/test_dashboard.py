"""The dashboard: what two pages see of the server, while it has something to do."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, enter, say
from tests.process import Process

pytestmark = [pytest.mark.timeout(90)]

RECORD_ANNOUNCEMENTS = """
    () => {
        window.announced = [];
        const live = "[aria-live]:not([aria-live=off]), [role=status], [role=log], [role=alert]";
        for (const region of document.querySelectorAll(live))
            new MutationObserver(() => announced.push(region.textContent))
                .observe(region, { childList: true, characterData: true, subtree: true });
    }
"""


def figure(page: Page, name: str) -> str:
    return page.locator(f"[data-figure={name}]").inner_text()


def test_two_pages_see_the_same(visit: Visit, demo: Process) -> None:
    ada, bob = visit(demo.url, "dashboard"), enter(visit(demo.url), "Bob")
    expect(ada.locator("#dashboard-state")).to_have_text("live")
    expect(ada.locator("[data-figure=websockets]")).to_have_text("2")
    expect(ada.locator("[data-figure=rooms]")).to_have_text("2")  # the room, and who types in it
    expect(ada.locator("[data-figure=members]")).to_have_text("1")
    expect(ada.locator("[data-figure=dropped]")).to_have_text("0")
    assert re.fullmatch(r"[\d.]+ MiB", figure(ada, "memory"))
    say(bob, "one message")
    expect(ada.locator("[data-rate=received]")).to_have_text("1")
    bob.get_by_role("tab", name="Dashboard").click()
    for page in (ada, bob):
        expect(page.locator("[data-figure=websockets]")).to_have_text("3")


def test_traffic_is_drawn_and_told(visit: Visit, demo: Process) -> None:
    page = visit(demo.url, "dashboard")
    expect(page.locator("#rows tr").first).to_be_visible(visible=False)
    page.get_by_text("The same as a table").click()
    expect(page.locator("#rows tr").first).to_be_visible()
    page.evaluate(RECORD_ANNOUNCEMENTS)
    page.get_by_role("button", name="Make some traffic").click()
    expect(page.get_by_role("button", name="Make some traffic")).to_be_disabled()
    expect(page.get_by_role("button", name="Make some traffic")).to_be_enabled(timeout=20_000)
    # Twenty messages a second to five sockets: nobody's clock is exact.
    told = page.locator("#chart-text").inner_text()
    numbers = [int(number) for number in re.findall(r"\d+", told)]
    assert 15 <= numbers[0] <= 30, told
    assert 75 <= numbers[2] <= 150, told
    deliveries = page.locator("#rows td:nth-child(4)").all_text_contents()
    assert str(numbers[2]) in deliveries
    points = page.locator("#chart polyline.delivered").get_attribute("points") or ""
    assert len(points.split()) >= 5
    chart = page.get_by_role("img", name="Messages a second, over the last minute")
    expect(chart).to_have_accessible_description(told)
    # A figure a second is nothing to be read aloud.
    assert page.evaluate("announced") == []


def test_nothing_is_sent_to_who_does_not_look(visit: Visit, demo: Process) -> None:
    ada, bob = visit(demo.url, "dashboard"), visit(demo.url, "dashboard")
    expect(ada.locator("[data-figure=websockets]")).to_have_text("2")
    bob.get_by_role("tab", name="Chat").click()
    expect(ada.locator("[data-figure=websockets]")).to_have_text("1")
    bob.get_by_role("tab", name="Dashboard").click()
    expect(ada.locator("[data-figure=websockets]")).to_have_text("2")
    expect(bob.locator("#dashboard-state")).to_have_text("live")
