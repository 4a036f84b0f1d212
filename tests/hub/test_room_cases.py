"""What the model of test_room comes to too seldom, one interleaving each; and no history."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from longwire.errors import BrokerError
from longwire.hub import Gap, Hub, Joined, OnGap, Position, Publication, RoomOptions
from longwire.hub import room as room_module
from longwire.hub.events import RoomEvent
from tests.hub.connections import FakeConnection, turns, until
from tests.hub.world import ROOM, Call, Story, World

pytestmark = pytest.mark.anyio


class Stage:
    """A hub over a World, and members whose stories are checked."""

    def __init__(self, window: int = 5, on_gap: OnGap = OnGap.RESYNC) -> None:
        self.world = World(window)
        self.on_gap = on_gap
        self.hub = Hub(self.world, room=RoomOptions(history_size=window, on_gap=on_gap))

    async def call(self, kind: str) -> Call:
        """Wait until the hub asks for this."""
        await until(lambda: self.asked(kind))
        return self.asked(kind)[0]

    def asked(self, kind: str) -> list[Call]:
        pending = self.world.pending
        return [call for call in pending if call.kind == kind and not call.answer.done()]

    async def answer(self, *kinds: str) -> None:
        for kind in kinds:
            self.world.answer(await self.call(kind))
            await turns(3)

    def deliver(self) -> None:
        while self.world.in_flight:
            self.world.deliver()

    async def join(self, since: Position | None = None) -> tuple[Story, asyncio.Task[Joined]]:
        story = Story(since, self.on_gap)

        def format(event: Any) -> None:
            story(event)

        member = self.hub.connect(FakeConnection(), format=format)
        await member.start()
        task = asyncio.get_running_loop().create_task(member.join(ROOM, since=since))
        await turns(3)
        return story, task

    async def first(self) -> Story:
        """Let somebody in who is there all the time."""
        story, task = await self.join()
        await self.answer("subscribe", "enter")
        await task
        self.deliver()
        return story

    async def first_in_a_new_epoch(self) -> tuple[Story, RoomEvent]:
        """Let them hear of a new epoch; return a publication of the old one, too."""
        story = await self.first()
        self.world.publish_here()
        old = self.world.in_flight[0]
        self.deliver()
        self.world.forget_everything()
        self.world.publish_here()
        self.deliver()
        await self.answer("history")
        return story, old


@contextlib.asynccontextmanager
async def stage(**options: Any) -> AsyncIterator[Stage]:
    stage = Stage(**options)
    stage.world.node = None
    await stage.hub.open()
    yield stage
    stage.world.is_prompt = True
    for call in list(stage.world.pending):
        stage.world.answer(call)
    await turns()
    await stage.hub.close()


def publications(story: Story) -> list[str]:
    return [str(event.position) for event in story.events if isinstance(event, Publication)]


async def test_what_was_lost_while_the_history_was_read_is_read_again() -> None:
    """A reconnection while the room catches up: what was read may be from before it."""
    async with stage() as at:
        story = await at.first()
        for _ in range(2):
            at.world.publish_here()
        at.world.lose()
        at.deliver()
        reading = await at.call("history")
        reading.apply()
        at.world.publish_here()
        at.world.lose()
        at.world.node.on_restored()  # type: ignore[union-attr]
        at.world.answer(reading)
        await at.answer("history")
        assert publications(story) == ["1:e0", "2:e0", "3:e0"]


async def test_an_epoch_that_the_room_has_not_heard_of() -> None:
    """Somebody comes from another node, which knows more than this one."""
    async with stage() as at:
        first = await at.first()
        for _ in range(3):
            at.world.publish_here()
        at.deliver()
        at.world.forget_everything()
        since = at.world.publish_here()
        at.world.publish_here()
        late, task = await at.join(since)
        await at.answer("history", "history", "enter")
        assert (await task).is_recovered is False
        at.deliver()
        assert late.cursor == first.cursor == at.world.position
        assert (late.gaps, first.gaps) == (1, 1)


@pytest.mark.parametrize("on_gap", [OnGap.RESYNC, OnGap.MARK])
async def test_an_epoch_that_begins_while_somebody_joins(on_gap: OnGap) -> None:
    """What is left of the old epoch is not told behind the new one."""
    async with stage(on_gap=on_gap) as at:
        first = await at.first()
        for _ in range(3):
            at.world.publish_here()
        at.deliver()
        old = at.world.epoch
        late_of_old = at.world.publish_here()
        at.world.forget_everything()
        since = at.world.publish_here()
        for _ in range(2):
            at.world.publish_here()
        late, task = await at.join(since)
        joining = await at.call("history")
        at.world.deliver()  # the last of the old epoch, to the room
        assert first.cursor == late_of_old
        assert late_of_old.epoch == f"e{old}"
        at.deliver()  # of the new one: the room has to read the history, too
        await until(lambda: len(at.world.pending) == 2)
        at.world.answer(next(call for call in at.world.pending if call is not joining))
        await turns(5)
        assert first.gaps == 1
        at.world.answer(joining)
        await at.answer("enter")
        assert (await task).is_recovered is True
        assert publications(late) == ["2:e1", "3:e1"]
        assert (late.gaps, late.cursor) == (0, at.world.position)


async def test_members_are_closed_at_a_gap_if_they_are_to_be() -> None:
    async with stage(window=1, on_gap=OnGap.CLOSE) as at:
        connection = FakeConnection()
        member = at.hub.connect(connection)
        await member.start()
        task = asyncio.get_running_loop().create_task(member.join(ROOM))
        await at.answer("subscribe", "enter")
        await task
        at.deliver()
        for _ in range(3):
            at.world.publish_here()
        at.world.lose()
        at.deliver()
        await at.answer("history", "exit")
        await until(lambda: connection.closed)
        assert connection.closed == (1013, "messages were lost")
        assert at.hub.counters.gaps == 1


@pytest.mark.parametrize("size", [1, 10_000])
async def test_what_is_held_back_is_bounded(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In events, and in bytes; what is let go is read from the history instead."""
    monkeypatch.setattr(room_module, "MAX_HELD", 50)
    monkeypatch.setattr(room_module, "MAX_HELD_SIZE", 50_000)
    async with stage(window=1000) as at:
        first = await at.first()
        at.world.publish_here()
        at.world.lose()
        at.world.publish_here("x" * size)
        since = Position(0, "e0")
        late, task = await at.join(since)
        at.deliver()
        room = at.hub._rooms.find(ROOM)
        assert room is not None
        held = [room._held, *room._joining.values()]
        for _ in range(300):
            at.world.publish_here("x" * size)
            at.deliver()
            for what in held:
                assert what is not None
                assert len(what.events) <= 50
                sizes = [len(e.data) for e in what.events if isinstance(e, Publication)]
                assert sum(sizes) <= 50_000
        await at.answer("history", "history", "enter")
        await task
        await turns()
        at.world.is_prompt = True
        for call in list(at.world.pending):
            at.world.answer(call)
        await turns()
        assert first.cursor == late.cursor == at.world.position


async def test_a_history_that_fails_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also by what no broker should raise; the log has one line, not one for each attempt."""
    monkeypatch.setattr(room_module, "FIRST_DELAY", 0.0)
    async with stage() as at:
        story = await at.first()
        at.world.publish_here()
        at.world.lose()
        at.world.publish_here()
        at.deliver()
        with caplog.at_level(logging.WARNING, "longwire.hub"):
            for _ in range(5):
                (await at.call("history")).answer.set_exception(BrokerError("away"))
                await turns(3)
        lines = [record for record in caplog.records if "cannot catch up" in record.message]
        assert len(lines) == 1
        (await at.call("history")).answer.set_exception(ZeroDivisionError())
        await at.answer("history")
        assert publications(story) == ["1:e0", "2:e0"]
        assert any(record.exc_info for record in caplog.records)


async def test_who_joins_a_room_that_catches_up_hears_what_is_left() -> None:
    async with stage() as at:
        await at.first()
        at.world.publish_here()
        at.world.lose()
        at.world.publish_here()
        at.deliver()
        late, task = await at.join()
        await at.answer("enter")
        assert (await task).position == Position(0, "e0")
        await at.answer("history")
        assert publications(late) == ["1:e0", "2:e0"]


async def test_joining_again_with_a_position_tells_once() -> None:
    async with stage() as at:
        story = Story(None, OnGap.RESYNC)
        member = at.hub.connect(FakeConnection(), format=lambda event: story(event))
        await member.start()
        task = asyncio.get_running_loop().create_task(member.join(ROOM))
        await at.answer("subscribe", "enter")
        await task
        since = at.world.publish_here()
        at.deliver()
        story.since = since
        task = asyncio.get_running_loop().create_task(member.join(ROOM, since=since))
        other = asyncio.get_running_loop().create_task(member.join(ROOM, since=since))
        await at.call("history")
        at.world.publish_here()
        at.deliver()
        await at.answer("history", "history", "enter", "enter")
        assert (await task).is_recovered is (await other).is_recovered is True
        assert publications(story)[:2] == ["1:e0", "2:e0"]
        assert story.cursor == at.world.position


async def test_a_gap_is_no_gap_for_who_has_everything() -> None:
    """A Gap, and what the room was told again, lie before the position of who joins."""
    async with stage(window=2, on_gap=OnGap.MARK) as at:
        first = await at.first()
        for _ in range(5):
            at.world.publish_here()
        for _ in range(4):
            at.world.lose()
        at.deliver()
        late, task = await at.join(Position(4, "e0"))
        room_reads, member_reads = [c for c in at.world.pending if c.kind == "history"]
        at.world.answer(room_reads)
        await turns(5)
        at.world.answer(member_reads)
        await at.answer("enter")
        await task
        assert first.gaps == 1
        assert isinstance(first.events[-1], Gap)
        assert late.cursor == at.world.position


async def test_publications_of_an_old_epoch_do_not_take_the_new_ones_with_them() -> None:
    """They are in no history; what came behind them is delivered all the same, and at once."""
    async with stage() as at:
        story, old = await at.first_in_a_new_epoch()
        assert at.world.node is not None
        at.world.node.on_event(old)
        for _ in range(room_module.MAX_ATTEMPTS - 1):
            await at.answer("history")
        reading = await at.call("history")
        reading.apply()
        at.world.publish_here()
        at.deliver()
        at.world.answer(reading)
        await turns(5)
        assert story.cursor == at.world.position == Position(2, "e1")


@pytest.mark.parametrize(
    ("in_one_turn", "seconds", "most"), [(16, 1000.0, 20), (10**9, 0.0, 1)], ids=["count", "time"]
)
async def test_what_was_held_back_is_let_go_in_slices_and_in_order(
    in_one_turn: int, seconds: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it follows what was read; the history has too little to make good for a mistake."""
    monkeypatch.setattr(room_module, "IN_ONE_TURN", in_one_turn)
    monkeypatch.setattr(room_module, "TURN_SECONDS", seconds)
    async with stage(window=2) as at:
        story = await at.first()
        at.world.publish_here()
        at.world.lose()
        at.world.publish_here()
        at.deliver()
        reading = await at.call("history")
        reading.apply()
        for _ in range(100):
            at.world.publish_here()
        at.deliver()
        assert publications(story) == []
        at.world.answer(reading)
        told = [0]
        for _ in range(300):
            await asyncio.sleep(0)
            told.append(len(publications(story)))
        assert max(after - before for before, after in itertools.pairwise(told)) <= most
        assert publications(story) == [f"{number}:e0" for number in range(1, 103)]
        assert story.gaps == 0


@pytest.mark.parametrize("what", ["an outage", "a publication"])
async def test_what_is_lost_while_what_was_held_back_is_let_go(what: str) -> None:
    """In slices, so that an outage may end, or a gap show, between two of them."""
    async with stage() as at:
        story, old = await at.first_in_a_new_epoch()
        node = at.world.node
        assert node is not None
        for _ in range(4 * room_module.IN_ONE_TURN):
            node.on_event(old)
        for _ in range(room_module.MAX_ATTEMPTS):
            room_reads = await at.call("history")
            at.world.answer(room_reads)
            await until(lambda: room_reads.answer.done())  # noqa: B023
        await turns(2)
        room = at.hub._rooms.find(ROOM)
        assert room is not None
        assert room._held is not None, "not between slices"
        assert not at.asked("history")
        for _ in range(3):
            at.world.publish_here()
        at.world.lose()
        at.world.lose()
        if what == "an outage":
            at.world.lose()
            node.on_restored()
        else:
            at.deliver()
        await at.answer("history")
        assert story.cursor == at.world.position == Position(4, "e1")


async def test_without_history_what_comes_while_subscribing_is_delivered() -> None:
    hub = Hub(world := World(0), room=RoomOptions(history_size=0))
    connection = FakeConnection()
    async with hub, hub.connect(connection) as member:
        task = asyncio.get_running_loop().create_task(member.join(ROOM))
        await until(lambda: world.pending)
        assert world.node is not None
        world.pending[0].apply()
        world.node.on_event(Publication(ROOM, "early"))
        world.pending[0].answer.set_result(None)
        world.is_prompt = True
        joined = await task
        assert (joined.position, joined.is_recovered) == (None, None)
        world.node.on_event(Publication(ROOM, "late"))
        await until(lambda: connection.sent == ["late"])
        # Asking for what cannot be had is answered, not refused.
        assert (await member.join(ROOM, since="1:a")).is_recovered is False
