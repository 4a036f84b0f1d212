"""What a reader of the code found: healthy readers cut off, closes not sent, ghosts, doubles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longwire.errors import ConnectionClosed, HubClosed
from longwire.hub import (
    Client,
    Draft,
    Event,
    Hub,
    Position,
    Publication,
    RoomOptions,
    Window,
)
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from tests.hub.connections import FakeConnection, turns, until

pytestmark = pytest.mark.anyio

WINDOW = Window(2000, 300.0)


class ForgetfulBroker(MemoryBroker):
    """A broker that tells its node nothing while it is away, and keeps what is published."""

    is_away = False

    async def open(self, node: Any) -> None:
        self.told = node
        await super().open(self)  # type: ignore[arg-type]

    @property
    def id(self) -> str:
        return str(self.told.id)

    def on_event(self, event: Any) -> None:
        if not self.is_away:
            self.told.on_event(event)


@pytest.mark.parametrize("published", [1000, 1999])
async def test_an_outage_disconnects_nobody_who_reads(published: int) -> None:
    broker = ForgetfulBroker()
    connection = FakeConnection()
    async with Hub(broker, room=RoomOptions(history_size=2000)) as hub:
        async with hub.connect(connection) as member:
            await member.join("lobby")
            broker.is_away = True
            for number in range(published):
                await broker.publish("lobby", Draft(str(number) * 100), WINDOW)
            broker.is_away = False
            broker.told.on_restored()
            await until(lambda: len(connection.sent) == published or connection.closed)
            assert connection.closed is None
            assert connection.sent == [str(number) * 100 for number in range(published)]
            await hub.publish("lobby", "live")
            await until(lambda: connection.sent[-1] == "live")


class SlowHistory(ForgetfulBroker):
    """A broker that reads its history when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read = asyncio.Event()
        self.is_asked = False

    async def history(self, *arguments: Any) -> Any:
        self.is_asked = True
        await self.may_read.wait()
        return await super().history(*arguments)


LONG = RoomOptions(history_size=5000)


async def test_what_was_held_back_disconnects_nobody_who_reads() -> None:
    """As much as is held comes while the history is read, and more while that is delivered."""
    broker = SlowHistory()
    connection = FakeConnection()
    async with Hub(broker, room=LONG) as hub, hub.connect(connection) as member:
        await member.join("lobby")
        broker.is_away = True
        await broker.publish("lobby", Draft("0"), LONG.window)
        broker.is_away = False
        for number in range(1, 4000):
            await broker.publish("lobby", Draft(str(number)), LONG.window)
        await until(lambda: broker.is_asked)
        broker.may_read.set()
        for number in range(4000, 4500):
            await broker.publish("lobby", Draft(str(number)), LONG.window)
            await asyncio.sleep(0)
        await until(lambda: len(connection.sent) == 4500 or connection.closed)
        assert connection.closed is None
        assert connection.sent == [str(number) for number in range(4500)]


async def test_who_comes_back_brings_a_room_along_and_disconnects_nobody_who_reads() -> None:
    broker = ForgetfulBroker()
    first, second = FakeConnection(), FakeConnection()
    async with Hub(broker, room=RoomOptions(history_size=2000)) as hub:
        async with hub.connect(first) as member, hub.connect(second) as other:
            joined = await member.join("lobby")
            broker.is_away = True
            for number in range(1000):
                await broker.publish("lobby", Draft(str(number)), WINDOW)
            broker.is_away = False
            joining = asyncio.create_task(other.join("lobby", since=joined.position))
            for number in range(1000, 1500):
                await asyncio.sleep(0)
                await broker.publish("lobby", Draft(str(number)), WINDOW)
            assert (await joining).is_recovered
            for connection in (first, second):
                await until(lambda c=connection: len(c.sent) == 1500 or c.closed)  # type: ignore[misc]
                assert connection.closed is None
                assert connection.sent == [str(number) for number in range(1500)]


async def test_a_publisher_that_never_waits_disconnects_nobody_who_reads() -> None:
    connection = FakeConnection()
    async with Hub() as hub, hub.connect(connection) as member:
        await member.join("lobby")
        for number in range(2000):
            await hub.publish("lobby", str(number))
        await until(lambda: len(connection.sent) == 2000 or connection.closed)
        assert connection.closed is None


async def test_a_close_goes_out_though_the_block_ends() -> None:
    connection = FakeConnection()

    async def refuse(hub: Hub) -> None:
        async with hub.connect(connection) as member:
            await member.join("lobby")
            await member.close(4001, "bye")
            raise LookupError

    async with Hub() as hub:
        with pytest.raises(LookupError):
            await refuse(hub)
    assert connection.closed == (4001, "bye")


async def test_a_hub_closed_while_it_is_opened_can_be_opened_again() -> None:
    hub = Hub()
    await asyncio.gather(hub.open(), hub.close(), return_exceptions=True)
    await hub.close()
    with pytest.raises(HubClosed):
        await hub.publish("lobby", "x")
    async with hub:
        await hub.publish("lobby", "x")


class SlowToEnter(MemoryBroker):
    """A broker that takes its time to note who enters."""

    def __init__(self) -> None:
        super().__init__(MemoryRooms())
        self.may_enter = asyncio.Event()

    async def enter(self, room: str, client: Client) -> None:
        await self.may_enter.wait()
        await super().enter(room, client)


async def test_who_ends_while_it_enters_leaves_no_ghost() -> None:
    broker = SlowToEnter()
    async with Hub(broker) as hub:
        member = await hub.connect(FakeConnection()).start()
        joining = asyncio.create_task(member.join("lobby"))
        await turns()
        await member.end()
        broker.may_enter.set()
        with pytest.raises(ConnectionClosed):
            await joining
        await turns()
        assert await hub.presence("lobby") == []
        assert hub.counts().rooms == 0


def as_bytearray(event: Event) -> Any:
    return bytearray(b"x") if isinstance(event, Publication) else None


async def test_a_format_of_another_type_costs_its_own_members_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong, right = FakeConnection(), FakeConnection()
    async with Hub() as hub:
        async with hub.connect(wrong, format=as_bytearray) as first, hub.connect(right) as second:
            await first.join("lobby")
            await second.join("lobby")
            await hub.publish("lobby", "x")
            await until(lambda: right.sent)
    assert (wrong.sent, right.sent) == ([], ["x"])
    assert "a format failed" in caplog.text


async def test_who_joins_again_is_not_sent_what_it_was_excluded_from() -> None:
    connection = FakeConnection()
    async with Hub() as hub, hub.connect(connection) as member:
        joined = await member.join("lobby")
        assert isinstance(joined.position, Position)
        await hub.publish("lobby", "mine", exclude=member)
        await hub.publish("lobby", "theirs")
        await member.join("lobby", since=joined.position)
        await until(lambda: len(connection.sent) == 2)
        assert connection.sent == ["theirs", "theirs"]
