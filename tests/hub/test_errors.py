"""What each call raises, and that its docstring says so."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from longwire.errors import (
    BrokerError,
    ConnectionClosed,
    HubClosed,
    HubError,
    InvalidPosition,
    InvalidRoom,
    MessageTooLarge,
)
from longwire.hub import Hub, Member, OutboxOptions, Position, RoomOptions, Subscription
from longwire.hub.brokers.memory import MemoryBroker
from tests.hub.connections import FakeConnection, until

pytestmark = pytest.mark.anyio

SURROGATE = "\ud800"
LARGE = "x" * (256 * 1024 + 1)


class AwayBroker(MemoryBroker):
    """A broker that does not answer."""

    async def open(self, node: Any) -> None:
        raise BrokerError("away")


class BrokerWithoutPresence:
    """A broker that has no more than it must: nobody can be told who is in a room."""

    def __init__(self) -> None:
        broker = MemoryBroker()
        for name in ("open", "close", "publish", "signal", "subscribe", "unsubscribe", "history"):
            setattr(self, name, getattr(broker, name))


def hub() -> Hub:
    return Hub(rooms={"bare": RoomOptions(history_size=0)})


def away() -> Hub:
    return Hub(AwayBroker())


def without_presence() -> Hub:
    return Hub(BrokerWithoutPresence())  # type: ignore[arg-type]


def closed() -> Hub:
    hub = Hub()
    hub._rooms.refuse()
    return hub


Call = Callable[[Hub, Member], "Awaitable[Any] | Any"]

REFUSED: list[tuple[Any, Call, type[Exception]]] = [
    (Hub, lambda h, m: Hub("ftp://host"), BrokerError),
    (Hub.connect, lambda h, m: h.connect(17), TypeError),
    (Hub.connect, lambda h, m: h.connect(FakeConnection(), user=""), InvalidRoom),
    (Hub.publish, lambda h, m: h.publish("@x", "x"), InvalidRoom),
    (Hub.publish, lambda h, m: h.publish("x", LARGE), MessageTooLarge),
    (Hub.publish, lambda h, m: h.publish("x", {1}), TypeError),
    (Hub.publish, lambda h, m: h.publish("x", float("nan")), ValueError),
    (Hub.publish, lambda h, m: h.publish("x", SURROGATE), ValueError),
    (Hub.publish, lambda h, m: h.publish("x", "x", key=""), ValueError),
    (Hub.disconnect_user, lambda h, m: h.disconnect_user(""), InvalidRoom),
    (Hub.disconnect_user, lambda h, m: h.disconnect_user("x", 1005), ValueError),
    (Hub.disconnect_user, lambda h, m: h.disconnect_user("x", 4000, SURROGATE), ValueError),
    (Hub.encode, lambda h, m: h.encode(LARGE), MessageTooLarge),
    (Hub.encode, lambda h, m: h.encode(SURROGATE), ValueError),
    (Hub.encode, lambda h, m: h.encode({1}), TypeError),
    (Hub.members, lambda h, m: h.members("@x"), InvalidRoom),
    (Hub.presence, lambda h, m: h.presence("@x"), InvalidRoom),
    (Hub.history, lambda h, m: h.history("@x"), InvalidRoom),
    (Hub.history, lambda h, m: h.history("x", since="x"), InvalidPosition),
    (Hub.history, lambda h, m: h.history("x", limit=-1), ValueError),
    (Hub.history, lambda h, m: h.history("bare:x"), HubError),
    (Hub.subscribe, lambda h, m: h.subscribe("@x"), InvalidRoom),
    (Hub.subscribe, lambda h, m: h.subscribe("x", since="x").__aenter__(), InvalidPosition),
    (Member.join, lambda h, m: m.join("@x"), InvalidRoom),
    (Member.join, lambda h, m: m.join("x", since="x"), InvalidPosition),
    (Member.join, lambda h, m: m.join("x", info="x" * 4095), MessageTooLarge),
    (Member.join, lambda h, m: m.join("x", info={1}), TypeError),
    (Member.join, lambda h, m: m.join("x", info=SURROGATE), ValueError),
    (Member.join, lambda h, m: h.connect(FakeConnection()).join("x"), ConnectionClosed),
    (Member.leave, lambda h, m: m.leave("@x"), InvalidRoom),
    (Member.send, lambda h, m: m.send(LARGE), MessageTooLarge),
    (Member.send, lambda h, m: m.send({1}), TypeError),
    (Member.send, lambda h, m: m.send(SURROGATE), ValueError),
    (Member.close, lambda h, m: m.close(1006), ValueError),
    (Member.close, lambda h, m: m.close(4000, SURROGATE), ValueError),
    (Position.parse, lambda h, m: Position.parse("x"), InvalidPosition),
]


@pytest.mark.parametrize(("method", "call", "error"), REFUSED)
async def test_what_cannot_be(method: Any, call: Call, error: type[Exception]) -> None:
    """It changes nothing, and the docstring names the error."""
    assert error.__name__ in (inspect.getdoc(method) or "")
    async with hub() as h, h.connect(FakeConnection()) as member:
        joined = await member.join("x", info="before")
        with pytest.raises(error):
            await call(h, member)
        assert (member.rooms, h.members("x")) == (("x",), [member])
        assert await h.presence("x") == [joined.client]
        assert await h.history("x") == await h.history("x", since=joined.position)


USES: list[tuple[Any, Callable[[Hub], Awaitable[Any]]]] = [
    (Hub.publish, lambda h: h.publish("x", "x")),
    (Hub.disconnect_user, lambda h: h.disconnect_user("x")),
    (Hub.presence, lambda h: h.presence("x")),
    (Hub.history, lambda h: h.history("x")),
    (Hub.subscribe, lambda h: h.subscribe("x").__aenter__()),
    (Subscription.__aenter__, lambda h: h.subscribe("x").__aenter__()),
    (Member.start, lambda h: h.connect(FakeConnection()).start()),
]


@pytest.mark.parametrize(("make", "error"), [(closed, HubClosed), (away, BrokerError)])
@pytest.mark.parametrize(("method", "use"), USES)
async def test_what_cannot_be_now(
    method: Any,
    use: Callable[[Hub], Awaitable[Any]],
    make: Callable[[], Hub],
    error: type[HubError],
) -> None:
    assert error.__name__ in (inspect.getdoc(method) or "")
    with pytest.raises(error):
        await use(make())


async def test_a_broker_without_presence() -> None:
    async with without_presence() as h:
        with pytest.raises(HubError, match="cannot tell who is present"):
            await h.presence("x")
        async with h.connect(FakeConnection()) as member:
            with pytest.raises(HubError, match="cannot tell who is present"):
                await member.join("x")
            assert member.rooms == ()


async def test_a_room_that_is_faster_than_who_comes_back() -> None:
    """It reads what it missed; what is published meanwhile is more than is held for it."""
    connection = FakeConnection(is_open=False)
    outbox = OutboxOptions(4)
    async with Hub() as h, h.connect(connection, outbox=outbox) as member, h.subscribe("x") as room:
        since = (await anext(room)).position  # type: ignore[union-attr]
        for number in range(10):
            await h.publish("x", str(number))
        joining = asyncio.create_task(member.join("x", since=since))
        await until(lambda: member.outbox.waiting)
        for number in range(5000):
            await h.publish("x", str(number))
        connection.gate.set()
        with pytest.raises(HubError, match="is faster than the reader"):
            await joining
        assert (member.rooms, h.members("x"), await h.presence("x")) == ((), [], [])
        assert connection.closed is None
