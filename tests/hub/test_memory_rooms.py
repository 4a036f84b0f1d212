"""The table of rooms in memory: bounded, whoever names them, and true to the positions it told."""

from __future__ import annotations

import pytest

from longwire.hub import Hub
from longwire.hub.brokers import memory
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from tests.hub.connections import FakeConnection

pytestmark = pytest.mark.anyio


async def test_strangers_that_invent_rooms_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "MAX_QUIET", 100)
    now = 0.0
    rooms = MemoryRooms(clock=lambda: now)
    async with Hub(MemoryBroker(rooms)) as hub, hub.connect(FakeConnection()) as member:
        await member.join("here:to:stay")
        for number in range(5000):
            await member.join(f"invented:{number}")
            await hub.history(f"asked:{number}")
            await hub.presence(f"asked:{number}")
            await member.leave(f"invented:{number}")
        assert len(rooms) <= 110  # nothing was published there: some of them keep their place
        assert hub.counts().rooms == 1
        for number in range(5000):
            await hub.publish(f"published:{number}", "x")
            now += 10.0
        assert len(rooms) <= 2 * (300 + 3600) / 10 + 120
        now += 10_000
        for _ in range(5000):
            await hub.publish("here:to:stay", "x")
        assert len(rooms) <= 10  # also without new names


async def test_a_room_in_which_nothing_was_published_has_a_position() -> None:
    """Who comes back to it has missed nothing, and hears that."""
    async with Hub() as hub, hub.connect(FakeConnection()) as member:
        joined = await member.join("lobby")
        await member.leave("lobby")
        for number in range(100):
            await member.join(f"other:{number}")
            await member.leave(f"other:{number}")
        assert (await member.join("lobby", since=joined.position)).is_recovered is True
        await hub.publish("lobby", "x")
        assert (await member.join("lobby", since=joined.position)).is_recovered is True


async def test_an_epoch_that_was_forgotten_is_not_taken_up_again() -> None:
    now = 0.0
    rooms = MemoryRooms(clock=lambda: now)
    async with Hub(MemoryBroker(rooms)) as hub, hub.connect(FakeConnection()) as member:
        position = await hub.publish("lobby", "old")
        now += 10_000
        for number in range(10):
            await hub.publish(f"other:{number}", "x")
        assert rooms.find("lobby") is None
        for text in ("new", "newer"):
            await hub.publish("lobby", text)
        assert (await member.join("lobby", since=position)).is_recovered is False


async def test_a_room_keeps_its_epoch_for_an_hour_after_its_last_member() -> None:
    """A connection of two days ends for a second: that is not to lose its place."""
    now = 0.0
    rooms = MemoryRooms(clock=lambda: now)
    async with Hub(MemoryBroker(rooms)) as hub, hub.connect(FakeConnection()) as member:
        await hub.publish("lobby", "x")
        joined = await member.join("lobby")
        now += 2 * 24 * 3600
        await member.leave("lobby")
        now += 10
        for number in range(10):
            await hub.publish(f"other:{number}", "x")
        assert (await member.join("lobby", since=joined.position)).is_recovered is True


async def test_histories_that_have_expired_are_let_go() -> None:
    """The messages of quiet rooms, while others are busy."""
    now = 0.0
    rooms = MemoryRooms(clock=lambda: now)
    async with Hub(MemoryBroker(rooms)) as hub:
        for number in range(100):
            await hub.publish(f"quiet:{number}", "x" * 1000)
        now += 301
        for _ in range(200):
            await hub.publish("busy", "x")
        kept = [rooms.find(f"quiet:{number}") for number in range(100)]
        assert not [room for room in kept if room and room.history]
