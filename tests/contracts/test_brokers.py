"""What every broker does behind the joint that hubs know: `longwire.hub.broker`.

Each test runs in each of the SETTINGS in brokers.py.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from longwire.hub.broker import Window
from longwire.hub.events import (
    Client,
    Disconnect,
    Draft,
    History,
    Join,
    Leave,
    Position,
    Publication,
    Signal,
)
from tests.contracts.settings import (
    ALICE,
    BOB,
    NO_HISTORY,
    WINDOW,
    RecordingNode,
    Setting,
    presence,
    publish,
    until,
)

pytestmark = pytest.mark.anyio


def texts(history: History) -> list[str | bytes]:
    return [publication.data for publication in history.publications]


# Publications


async def test_a_publication_reaches_every_node_in_the_room(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        await near.subscribe("lobby")
        await far.subscribe("lobby")
        draft = Draft("Hello", ALICE, key="greeting", exclude="c9")
        position = await near.broker.publish("lobby", draft, WINDOW)
        expected = Publication("lobby", "Hello", ALICE, "greeting", "c9", position, 0)
        for node in (near, far):
            await node.until_data("Hello")
            assert node.events == [expected]


@pytest.mark.parametrize("window", [WINDOW, NO_HISTORY], ids=["history", "no history"])
@pytest.mark.parametrize(
    "data",
    ["", b"", "Hüllo\n\0 \U0001f600", b"\0\xff\n\r\n$5\r\n", "x" * 300_000, bytes(300_000)],
    ids=["empty text", "empty binary", "text", "binary", "long text", "long binary"],
)
async def test_data_arrives_as_it_was(setting: Setting, data: str | bytes, window: Window) -> None:
    async with setting.node() as near, setting.node() as far:
        await far.broker.subscribe("lobby", window)
        await near.broker.publish("lobby", Draft(data), window)
        await far.until_data(data)
        assert type(far.data[0]) is type(data)
        if window.size:
            assert texts(await far.broker.history("lobby", window)) == [data]


@pytest.mark.parametrize(
    "room",
    ["a.b>*", "*", ">", "[a-z]?", "a:b", "{x}", "..", "@alice", "é" * 100, "\U0001f600" * 50, "A"],
)
async def test_names_are_taken_as_they_are(setting: Setting, room: str) -> None:
    async with setting.node() as near, setting.node() as far:
        here, there = presence(near), presence(far)
        await far.subscribe(room)
        for other in ("a.b.c", "a", "x", "b", "alice", "e"):
            await publish(near.broker, other, "not here")
        await here.enter(room, ALICE)
        await publish(near.broker, room, "here")
        await far.until_data("here")
        assert [event.room for event in far.events] == [room, room]
        assert far.data == ["here"]
        assert texts(await far.broker.history(room, WINDOW)) == ["here"]
        assert await there.present(room) == [ALICE]


async def test_all_nodes_see_one_order(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        for node in (near, far):
            await node.subscribe("lobby")

        async def talk(node: RecordingNode, name: str) -> None:
            await publish(node.broker, "lobby", *(f"{name}{i}" for i in range(20)))

        await asyncio.gather(*(talk(near, f"n{i}-") for i in range(4)), talk(far, "f-"))
        for node in (near, far):
            await node.until(lambda node=node: len(node.events) == 100)  # type: ignore[misc]
        assert near.events == far.events
        assert near.events == (await far.broker.history("lobby", WINDOW)).publications
        assert_chained(near.publications)
        for name in ("n0-", "n1-", "n2-", "n3-", "f-"):
            own = [text for text in near.data if str(text).startswith(name)]
            assert own == [f"{name}{i}" for i in range(20)]


def assert_chained(publications: list[Publication]) -> None:
    """Offsets grow, each publication names the one before, and the epoch stays."""
    known = 0
    for publication in publications:
        assert publication.position is not None
        assert publication.previous == known
        assert publication.position.offset > known
        known = publication.position.offset
    assert len({p.position.epoch for p in publications if p.position is not None}) == 1


async def test_a_publication_is_in_the_history_once_it_is_delivered(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        await far.subscribe("lobby")
        for i in range(20):
            await publish(near.broker, "lobby", str(i))
            await far.until_data(str(i))
            assert str(i) in texts(await far.broker.history("lobby", WINDOW))


async def test_rooms_without_history_have_no_positions(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        assert await far.broker.subscribe("lobby", NO_HISTORY) is None
        assert await near.broker.publish("lobby", Draft("a", ALICE), NO_HISTORY) is None
        assert await near.broker.publish("lobby", Draft(b"b"), NO_HISTORY) is None
        await far.until_data(b"b")
        assert far.events == [Publication("lobby", "a", ALICE), Publication("lobby", b"b")]


async def test_a_room_that_nobody_is_in_can_be_published_to(setting: Setting) -> None:
    async with setting.node() as node:
        (position,) = await publish(node.broker, "lobby", "a")
        await publish(node.broker, "elsewhere", "b", window=NO_HISTORY)
        assert await node.subscribe("lobby") == position
        assert node.events == []


# Subscriptions


async def test_subscribing_says_where_the_room_stands(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        fresh = await far.subscribe("lobby")
        assert fresh.offset == 0
        (first, second) = await publish(near.broker, "lobby", "a", "b")
        assert (first.epoch, second.epoch) == (fresh.epoch, fresh.epoch)
        assert await near.subscribe("lobby") == second
        await publish(far.broker, "lobby", "c")
        await near.until_data("c")
        assert near.data == ["c"]
        assert near.publications[0].previous == second.offset


async def test_subscribing_twice_delivers_once(setting: Setting) -> None:
    async with setting.node() as node:
        await node.subscribe("lobby")
        await node.subscribe("lobby")
        await publish(node.broker, "lobby", "a", "b")
        await node.until_data("b")
        assert node.data == ["a", "b"]


async def test_only_subscribed_rooms_are_delivered(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        await far.subscribe("lobby")
        await far.subscribe("attic")
        await publish(near.broker, "attic", "a")
        await publish(near.broker, "cellar", "b")
        await far.until_data("a")
        await far.broker.unsubscribe("attic")
        await publish(near.broker, "attic", "c")
        await publish(near.broker, "lobby", "d")
        await far.until_data("d")
        assert far.data == ["a", "d"]


async def test_unsubscribing_can_be_done_twice_and_undone(setting: Setting) -> None:
    async with setting.node() as node:
        await node.broker.unsubscribe("lobby")
        await node.subscribe("lobby")
        await node.broker.unsubscribe("lobby")
        await node.broker.unsubscribe("lobby")
        await publish(node.broker, "lobby", "a")
        await node.subscribe("lobby")
        await publish(node.broker, "lobby", "b")
        await node.until_data("b")
        assert node.data == ["b"]


async def test_nothing_is_missed_while_a_node_subscribes(setting: Setting) -> None:
    """What is published after the position that subscribe() returns is delivered."""
    async with setting.node() as near, setting.node() as far:
        ending = asyncio.Event()

        async def talk() -> None:
            while not ending.is_set():
                await publish(near.broker, "lobby", "talk")
                await asyncio.sleep(0)

        talking = asyncio.create_task(talk())
        for i in range(20):
            before = len(far.events)  # some come before subscribe() returns
            since = await far.subscribe("lobby")
            await publish(far.broker, "lobby", f"mark {i}")
            await far.until_data(f"mark {i}")
            missable = [p for p in far.publications[before:] if offset(p) > since.offset]
            assert missable[0].previous == since.offset
            await far.broker.unsubscribe("lobby")
        ending.set()
        await talking


def offset(publication: Publication) -> int:
    assert publication.position is not None
    return publication.position.offset


# Signals


async def test_signals_arrive_and_are_not_kept(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        await far.subscribe("@alice")
        signals: list[Signal] = [
            Join("@alice", ALICE), Disconnect("@alice", 4001, "Ω no more"), Leave("@alice", BOB)
        ]  # fmt: skip
        for signal in signals:
            await near.broker.signal(signal)
        await far.until(lambda: len(far.events) == 3)
        assert far.events == signals
        history = await far.broker.history("@alice", WINDOW)
        assert (history.publications, history.position.offset) == ([], 0)


@pytest.mark.parametrize("window", [WINDOW, NO_HISTORY], ids=["history", "no history"])
async def test_signals_stay_in_order_with_publications(setting: Setting, window: Window) -> None:
    async with setting.node() as near, setting.node() as far:
        await far.broker.subscribe("lobby", window)
        for i in range(20):
            await near.broker.signal(Join("lobby", Client(f"c{i}")))
            await near.broker.publish("lobby", Draft(f"c{i}"), window)
            await near.broker.signal(Leave("lobby", Client(f"c{i}")))
        await far.until(lambda: len(far.events) == 60)
        seen = [e.data if isinstance(e, Publication) else e for e in far.events]
        one_by_one = (
            [Join("lobby", Client(f"c{i}")), f"c{i}", Leave("lobby", Client(f"c{i}"))]
            for i in range(20)
        )
        assert seen == [event for three in one_by_one for event in three]


# History


async def test_history_of_a_room_where_nothing_happened(setting: Setting) -> None:
    async with setting.node() as node:
        history = await node.broker.history("lobby", WINDOW)
        assert (history.publications, history.position.offset) == ([], 0)
        assert history.is_whole
        assert await node.broker.history("lobby", WINDOW, history.position) == history
        assert await node.subscribe("lobby") == history.position


async def test_history_since_a_position(setting: Setting) -> None:
    async with setting.node() as node:
        start = await node.subscribe("lobby")
        positions = await publish(node.broker, "lobby", "a", "b", "c", "d")
        top = positions[-1]

        async def since(position: Position, limit: int | None = None) -> list[str | bytes]:
            history = await node.broker.history("lobby", WINDOW, position, limit)
            assert history.is_whole
            assert history.position == top
            return texts(history)

        assert await since(start) == ["a", "b", "c", "d"]
        assert await since(positions[1]) == ["c", "d"]
        assert await since(top) == []
        assert await since(positions[0], 2) == ["b", "c"]
        assert await since(positions[0], 100) == ["b", "c", "d"]
        assert await since(start, 0) == []


async def test_history_without_a_position_is_the_latest(setting: Setting) -> None:
    async with setting.node() as node:
        positions = await publish(node.broker, "lobby", "a", "b", "c")
        for limit, expected in [(None, "abc"), (2, "bc"), (9, "abc"), (0, "")]:
            history = await node.broker.history("lobby", WINDOW, None, limit)
            assert (texts(history), history.position) == (list(expected), positions[-1])
            assert history.is_whole


async def test_history_holds_what_was_delivered(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        await near.subscribe("lobby")
        await near.broker.publish("lobby", Draft("a", ALICE, "k", "c3"), WINDOW)
        await near.broker.publish("lobby", Draft(b"b", BOB), WINDOW)
        await near.until_data(b"b")
        assert (await far.broker.history("lobby", WINDOW)).publications == near.events


async def test_a_position_of_another_epoch_is_a_gap(setting: Setting) -> None:
    async with setting.node() as node:
        positions = await publish(node.broker, "lobby", "a", "b", "c")
        foreign = Position(positions[0].offset, "another")
        history = await node.broker.history("lobby", WINDOW, foreign)
        assert (texts(history), history.is_whole) == (["a", "b", "c"], False)
        assert history.position == positions[-1]
        history = await node.broker.history("lobby", WINDOW, foreign, 2)
        assert (texts(history), history.is_whole) == (["a", "b"], False)


async def test_a_position_ahead_of_the_room_is_a_gap(setting: Setting) -> None:
    async with setting.node() as node:
        positions = await publish(node.broker, "lobby", "a", "b")
        ahead = Position(positions[-1].offset + 10, positions[-1].epoch)
        history = await node.broker.history("lobby", WINDOW, ahead)
        assert (texts(history), history.is_whole) == (["a", "b"], False)
        assert history.position == positions[-1]


async def test_what_is_beyond_the_window_is_a_gap(setting: Setting) -> None:
    async with setting.node() as node:
        window = Window(3, 60.0)
        start = await node.subscribe("lobby", window)
        positions = await publish(node.broker, "lobby", *"abcde", window=window)
        for since, expected, is_whole in [
            (start, "cde", False),
            (positions[0], "cde", False),
            (positions[1], "cde", True),
            (positions[2], "de", True),
        ]:
            history = await node.broker.history("lobby", window, since)
            assert (texts(history), history.is_whole) == (list(expected), is_whole)
        history = await node.broker.history("lobby", window, start, 2)
        assert (texts(history), history.is_whole) == (["c", "d"], False)
        assert texts(await node.broker.history("lobby", window)) == ["c", "d", "e"]


async def test_what_is_too_old_is_a_gap_and_the_position_stays(setting: Setting) -> None:
    async with setting.node() as node:
        window = Window(100, 1.0)
        start = await node.subscribe("lobby", window)
        began = time.monotonic()
        (_, top) = await publish(node.broker, "lobby", "a", "b", window=window)
        history = await node.broker.history("lobby", window)
        is_old = time.monotonic() - began > window.seconds  # already, on a machine that stood still
        assert texts(history) == ["a", "b"] or is_old

        async def is_gone() -> bool:
            return not (await node.broker.history("lobby", window)).publications

        await until(is_gone)
        assert await node.broker.history("lobby", window, start) == History([], top, False)
        assert await node.broker.history("lobby", window, top) == History([], top, True)
        assert await node.subscribe("lobby", window) == top
        await publish(node.broker, "lobby", "c", window=window)
        await node.until_data("c")
        assert node.publications[-1].previous == top.offset
