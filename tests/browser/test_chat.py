"""The chat as people meet it: two of them, one who was away, a server that was started again."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import APP, Line, Visit, enter, picture, say, until
from tests.ports import fixed_port
from tests.process import Process, running

pytestmark = [pytest.mark.timeout(120)]

RECORD_ANNOUNCEMENTS = """
    () => {
        window.announced = [];
        new MutationObserver((changes) => {
            const log = document.getElementById("log");
            for (const change of changes)
                for (const line of change.addedNodes)
                    if (log.getAttribute("aria-live") !== "off") announced.push(line.textContent);
        }).observe(document.getElementById("log"), { childList: true });
    }
"""


RECORD_TYPING = """
    () => {
        window.typing = [];
        const line = document.getElementById("typing");
        new MutationObserver(() => window.typing.push(line.textContent))
            .observe(line, { childList: true });
    }
"""
"""Who types is shown for three seconds, in which a busy machine may not look."""


def messages(page: Page) -> list[str]:
    return page.locator("#log .said p").all_text_contents()


def test_two_pages_chat(visit: Visit, demo: Process) -> None:
    ada, bob = enter(visit(demo.url), "Ada"), enter(visit(demo.url), "Bob")
    for page in (ada, bob):
        expect(page.locator("#people li")).to_have_text(["Ada", "Bob"])
    expect(ada.locator("#log .note").last).to_have_text("Bob joined")
    say(ada, "hello from Ada")
    say(bob, "hello back")
    for page in (ada, bob):
        expect(page.locator("#log .said p")).to_have_text(["hello from Ada", "hello back"])
    bob.get_by_role("button", name="Leave").click()
    expect(ada.locator("#people li")).to_have_text(["Ada"])
    expect(ada.locator("#log .note").last).to_have_text("Bob left")


def test_rooms_are_separate(visit: Visit, demo: Process) -> None:
    ada = enter(visit(demo.url), "Ada", "tea kitchen")
    bob = enter(visit(demo.url), "Bob", "red")
    say(ada, "only tea")
    expect(ada.locator("#log .said p")).to_have_text(["only tea"])
    say(bob, "only red")
    expect(bob.locator("#log .said p")).to_have_text(["only red"])
    expect(bob.locator("#people li")).to_have_text(["Bob"])


def test_what_strangers_write_is_text(visit: Visit, demo: Process) -> None:
    attack = "<img src=x onerror=1>"
    ada, bob = enter(visit(demo.url), attack), enter(visit(demo.url), "Bob")
    bob.evaluate(RECORD_TYPING)
    ada.get_by_label("Message", exact=True).press_sequentially("<script>")
    until(bob, lambda: f"{attack} is typing…" in bob.evaluate("typing"))
    say(ada, "<script>document.title='owned'</script>")
    expect(bob.locator("#log .said strong")).to_have_text(attack)
    expect(bob.locator("#log .said p")).to_have_text("<script>document.title='owned'</script>")
    expect(bob).to_have_title("Chat · Longwire demo")
    assert bob.locator("#chat img").count() == 0


def test_who_types_is_seen_typing(visit: Visit, demo: Process) -> None:
    ada, bob = enter(visit(demo.url), "Ada"), enter(visit(demo.url), "Bob")
    for page in (ada, bob):
        page.evaluate(RECORD_TYPING)
    for text in ("well", ", so"):
        bob.get_by_label("Message", exact=True).press_sequentially(text)
        until(ada, lambda: "Bob is typing…" in ada.evaluate("typing"))
        expect(ada.locator("#typing")).to_have_text("")  # he has stopped
        ada.evaluate("typing.length = 0")
    say(bob, "well, so")
    expect(ada.locator("#log .said p")).to_have_text(["well, so"])
    assert ada.locator("#typing").text_content() == ""  # at once: he has said it
    assert bob.evaluate("typing") == []


def test_history_on_entering_is_not_read_aloud(visit: Visit, demo: Process) -> None:
    ada = enter(visit(demo.url), "Ada")
    for number in range(12):
        say(ada, f"message {number}")
    expect(ada.locator("#log .said")).to_have_count(12)
    bob = visit(demo.url)
    bob.evaluate(RECORD_ANNOUNCEMENTS)
    enter(bob, "Bob")
    expect(bob.locator("#log .said")).to_have_count(12)
    expect(bob.locator("#log .note").first).to_have_text("12 earlier messages")
    expect(bob.locator("#log .said").last).to_be_in_viewport()
    say(ada, "news")
    expect(bob.locator("#log .said")).to_have_count(13)
    [announced] = bob.evaluate("announced")
    assert announced.endswith("news")


def test_who_was_offline_gets_exactly_what_was_missed(
    visit: Visit, demo: Process, line: Line
) -> None:
    ada, bob = enter(visit(demo.url), "Ada"), enter(visit(line.url), "Bob")
    say(ada, "before")
    expect(bob.locator("#log .said")).to_have_count(1)
    # The line is dead, and the server does not know: for it Bob is still there.
    line.cut()
    bob.context.set_offline(True)
    expect(bob.locator("#chat-state")).to_have_text("offline")
    expect(bob.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    missed = [f"missed {number}" for number in range(20)]
    for text in missed:
        say(ada, text)
    expect(ada.locator("#log .said")).to_have_count(21)
    bob.wait_for_timeout(10_000)  # what was asked for: ten seconds away
    assert messages(bob) == ["before"]
    line.mend()
    bob.context.set_offline(False)
    expect(bob.locator("#chat-state")).to_have_text("connected as Bob")
    say(ada, "after")
    expect(bob.locator("#log .said p").last).to_have_text("after")
    assert messages(bob) == ["before", *missed, "after"]
    assert bob.locator("#log .missed p").all_text_contents() == missed
    back = re.compile(r"Back after [1-9]\d s: 20 messages missed")
    expect(bob.locator("#log .back")).to_have_text(back)
    expect(bob.locator("#log .back")).to_be_in_viewport()  # and not scrolled away by the rest
    bob.screenshot(path=picture("chat-back"))
    # He has been there all the time, as far as anybody could tell.
    expect(ada.locator("#log .note")).to_have_text(["Bob joined"])
    expect(ada.locator("#people li")).to_have_text(["Ada", "Bob"])


def test_what_did_not_get_through_is_in_the_field_again(visit: Visit, line: Line) -> None:
    bob = enter(visit(line.url), "Bob")
    line.cut()
    say(bob, "into the dark")
    bob.context.set_offline(True)
    line.mend()
    bob.context.set_offline(False)
    expect(bob.locator("#chat-state")).to_have_text("connected as Bob")
    expect(bob.get_by_label("Message", exact=True)).to_have_value("into the dark")
    assert messages(bob) == []


def test_the_page_returns_to_its_room_after_a_restart(visit: Visit) -> None:
    port = str(fixed_port())
    with running(APP, "--port", port) as first:
        url = first.url
        ada = enter(visit(url), "Ada", "workshop")
        say(ada, "before the restart")
        expect(ada.locator("#log .said")).to_have_count(1)
        first.signal(signal.SIGTERM)
        assert first.exit_status() == 0
        # And it says so for as long as that lasts, not only until it has tried in vain.
        for _ in range(2):  # the second attempt: the first has failed
            ada.wait_for_event("websocket")
        expect(ada.locator("#chat-state")).to_have_text("server restarting, reconnecting…")
        ada.screenshot(path=picture("chat-restarting"))
    with running(APP, "--port", port) as second:
        assert second.url == url
        expect(ada.locator("#chat-state")).to_have_text("connected as Ada", timeout=25_000)
        expect(ada.locator("#people li")).to_have_text(["Ada"])
        expect(ada.locator("#log .gap")).to_contain_text("the server has forgotten")
        say(ada, "still here")
        expect(ada.locator("#log .said p")).to_have_text(["before the restart", "still here"])


def test_who_is_refused_is_told_why(visit: Visit, demo: Process) -> None:
    page = visit(demo.url)
    page.get_by_label("Your name").fill("Ada")
    page.locator("#room").evaluate("(room) => { room.value = '\\u202e' }")
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#refused")).to_contain_text("a room's name is")
    expect(page.get_by_label("Your name")).to_be_focused()
