"""The page around the tabs: by keyboard, for screen readers, at any width, in light and in dark."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, enter, picture, say
from tests.process import Process

pytestmark = [pytest.mark.timeout(240)]  # four pages at once, each with all that there is

TABS = ["Chat", "Dashboard", "Editor", "Inspector"]

ASKED_BY_NAME = {
    "button", "combobox", "image", "img", "link", "log", "region", "spinbutton", "tab", "tablist",
    "tabpanel", "textbox",
}  # fmt: skip
"""Roles that say nothing without a name."""

CONTRAST = """
    () => {
        const canvas = document.createElement("canvas").getContext("2d");
        const parse = (colour) => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const light = (colour) => {
            const [r, g, b] = colour.slice(0, 3).map((part) => {
                const share = part / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (element) => {
            for (let at = element; at; at = at.parentElement) {
                const colour = parse(getComputedStyle(at).backgroundColor);
                if (colour[3] === 255) return colour;
            }
            return parse("white");
        };
        const poor = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
            if (element.closest(":disabled, .unseen, script")) continue;
            const style = getComputedStyle(element);
            const isSvg = element instanceof SVGElement;
            const front = parse(isSvg ? style.fill : style.color);
            const lights = [light(front), light(behind(element))].sort((a, b) => b - a);
            const ratio = (lights[0] + 0.05) / (lights[1] + 0.05);
            const size = parseFloat(style.fontSize);
            const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
            if (ratio < (isLarge ? 3 : 4.5)) poor.push([walker.currentNode.data, ratio]);
        }
        return poor;
    }
"""

STRUCTURE = """
    () => {
        const faults = [];
        const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
        if (new Set(ids).size !== ids.length) faults.push(`an id twice in ${ids}`);
        for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "for", "list"])
            for (const element of document.querySelectorAll(`[${name}]`))
                if (!document.getElementById(element.getAttribute(name)))
                    faults.push(`${name} to nowhere: ${element.getAttribute(name)}`);
        let level = 0;
        for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
            if (!heading.checkVisibility()) continue;
            const next = Number(heading.tagName[1]);
            if (next > level + 1) faults.push(`no h${level + 1} above ${heading.textContent}`);
            level = next;
        }
        for (const name of ["h1", "main", "header"])
            if (document.querySelectorAll(name).length !== 1) faults.push(`not one ${name}`);
        if (!document.documentElement.lang) faults.push("no language");
        return faults;
    }
"""


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def unnamed(page: Page) -> list[str]:
    """Return the roles of the elements that should have a name, and that have none."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        f"{node['role']['value']} {node.get('properties')}"
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in ASKED_BY_NAME
        and not node.get("name", {}).get("value", "").strip()
    ]


def open_looks(visit: Visit, url: str) -> dict[str, Page]:
    """Return a page in light and in dark, wide and narrow, by what its pictures are named after."""
    pages = {}
    for scheme in ("light", "dark"):
        for width in (1100, 360):
            look: dict[str, Any] = {
                "color_scheme": scheme, "viewport": {"width": width, "height": 740}
            }  # fmt: skip
            pages[f"{scheme}-{width}"] = visit(url, **look)
    return pages


def show_chat(pages: list[Page], visit: Visit, url: str) -> None:
    bob = visit(url)
    for page in pages:
        enter(page, "Ada Lovelace")
    enter(bob, "Bob")
    answer = "It did. The sockets were told 1012 and came back by themselves."
    talk = [
        (bob, "Good morning! Did the deploy go through?"),
        *((page, answer) for page in pages),  # what one has said oneself looks different
        (bob, "Nobody noticed, then. That is how I like it."),
    ]
    for count, (page, text) in enumerate(talk, 1):
        say(page, text)
        for other in (*pages, bob):
            expect(other.locator("#log .said")).to_have_count(count)


def show_dashboard(pages: list[Page]) -> None:
    for page in pages:
        tab(page, "Dashboard")
        page.get_by_text("The same as a table").click()
        page.get_by_role("button", name="Make some traffic").click()
    for page in pages:
        button = page.get_by_role("button", name="Make some traffic")
        expect(button).to_be_enabled(timeout=60_000)


def show_editor(pages: list[Page], visit: Visit, url: str) -> None:
    for page in pages:
        tab(page, "Editor")
        if page.locator("#missing").is_visible():
            continue
        expect(page.locator("#editor-state")).to_have_text("connected")
        page.locator("#editor").get_by_label("Shown as").fill("Ada Lovelace")
    if pages[0].locator("#missing").is_visible():
        return
    content = pages[0].locator(".cm-content")
    content.press_sequentially("Agenda\n\n1. The release: what is left, and who does it?\n2. ")
    bob = visit(url, "editor")
    expect(bob.locator("#editor-state")).to_have_text("connected")
    bob.locator("#editor").get_by_label("Shown as").fill("Bob")
    expect(bob.locator(".cm-line")).to_have_count(4)
    bob.locator(".cm-content").click()
    bob.keyboard.press("Control+End")
    bob.keyboard.type("Lunch")
    bob.keyboard.press("Shift+Home")
    for page in pages:
        expect(page.locator(".caret[data-name=Bob]")).to_have_count(1)
        expect(page.locator(".selection")).to_have_count(1)


def show_inspector(page: Page) -> None:
    tab(page, "Inspector")
    panel = page.locator("#inspector")
    for name in ("Connect", "Send as text", "Send as binary", "Over the limit", "Invalid JSON"):
        panel.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#inspector-state")).not_to_have_text("connecting…")
        count = {"Connect": 1, "Send as text": 3, "Send as binary": 5, "Over the limit": 7}
        expect(page.locator("#messages li")).to_have_count(count.get(name, 10))
    panel.get_by_role("button", name="Measure the round trip").click()
    expect(page.locator("#round-trip-time")).to_contain_text("ms")


def test_every_tab_looks_well(visit: Visit, demo: Process) -> None:
    """In every look: side by side, so that what takes its time takes it once."""
    looks = open_looks(visit, demo.url)
    pages = list(looks.values())
    for look, page in looks.items():
        expect(page.get_by_label("Your name")).to_be_focused()
        page.screenshot(path=picture(f"entrance-{look}"))
        assert page.evaluate(CONTRAST) == [], look
    for name in TABS:
        if name == "Chat":
            show_chat(pages, visit, demo.url)
        elif name == "Dashboard":
            show_dashboard(pages)
        elif name == "Editor":
            show_editor(pages, visit, demo.url)
        for look, page in looks.items():
            if name == "Inspector":
                show_inspector(page)
            check_look(page, name, look)


def check_look(page: Page, name: str, look: str) -> None:
    """Nothing has to be scrolled sideways to be seen, and all of it can be read."""
    page.locator("main").evaluate("(main) => main.scrollTo(0, 0)")
    page.screenshot(path=picture(f"{name.lower()}-{look}"))
    if name in ("Dashboard", "Inspector"):
        page.locator("main").evaluate("(main) => main.scrollTo(0, main.scrollHeight)")
        page.screenshot(path=picture(f"{name.lower()}-{look}-end"))
    assert page.viewport_size is not None
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, look
    assert page.evaluate("document.querySelector('main').scrollWidth") <= width, look
    assert page.evaluate(CONTRAST) == [], look
    assert page.evaluate(STRUCTURE) == [], look
    assert unnamed(page) == [], look


def test_tabs_by_the_pattern(visit: Visit, demo: Process) -> None:
    page = visit(demo.url)
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(TABS)
    tabs.first.focus()
    for key, name in (
        ("ArrowRight", "Dashboard"),
        ("End", "Inspector"),
        ("ArrowRight", "Chat"),
        ("ArrowLeft", "Inspector"),
        ("Home", "Chat"),
    ):
        page.keyboard.press(key)
        chosen = page.get_by_role("tab", name=name)
        expect(chosen).to_be_focused()
        expect(chosen).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("tab", selected=True)).to_have_count(1)
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        expect(page).to_have_url(re.compile(f"#{name.lower()}$"))
        # One stop in the order of the Tab key for all four.
        assert tabs.evaluate_all("(all) => all.filter((tab) => tab.tabIndex === 0).length") == 1


def test_keyboard_alone(visit: Visit, demo: Process) -> None:
    """Everything a mouse can do, and always with something to see where one is."""
    page = visit(demo.url)

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            around = "getComputedStyle(document.activeElement.closest('.card')).outlineStyle"
            if not page.evaluate("document.activeElement.classList.contains('cm-content')"):
                around = outline
            assert page.evaluate(around) != "none", page.evaluate("document.activeElement.id")

    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ada")
    press("Enter")
    expect(page.locator("#chat-state")).to_have_text("connected as Ada")
    page.keyboard.type("no mouse")
    press("Enter")
    expect(page.locator("#log .said p")).to_have_text(["no mouse"])
    press("Shift+Tab")
    expect(page.get_by_role("log")).to_be_focused()
    press("Shift+Tab")
    expect(page.get_by_role("button", name="Leave")).to_be_focused()
    press("Shift+Tab", "ArrowRight")
    expect(page.get_by_role("tab", name="Dashboard")).to_be_focused()
    press("Tab")
    expect(page.get_by_role("button", name="Make some traffic")).to_be_focused()
    press("Tab", "Enter")
    expect(page.locator("#rows")).to_be_visible()
    press("Shift+Tab", "Shift+Tab", "ArrowRight")
    expect(page.get_by_role("tab", name="Editor")).to_be_focused()
    if not page.locator("#missing").is_visible():
        expect(page.locator("#editor-state")).to_have_text("connected")
        press("Tab")
        expect(page.get_by_role("textbox", name="Shared notes")).to_be_focused()
        page.keyboard.type("by keyboard")
        expect(page.locator(".cm-line")).to_have_text("by keyboard")
        press("Tab")  # the editor does not keep it
        expect(page.locator("#editor").get_by_label("Shown as")).to_be_focused()
        press("Shift+Tab", "Shift+Tab")
    press("ArrowRight")
    expect(page.get_by_role("tab", name="Inspector")).to_be_focused()
    press("Tab", "Tab", "Enter")
    expect(page.locator("#inspector-state")).to_have_text("connected to /ws/echo")
    press("Tab", "Tab", "Enter")
    expect(page.locator("#messages .received")).to_contain_text("hello")
    press("Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Home")
    expect(page.locator("#chat-state")).to_have_text("connected as Ada")  # all the time
