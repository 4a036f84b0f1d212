"""The hub from its first use to its end, and members that start, end, or are accepted late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import websockets
from websockets.exceptions import ConnectionClosed as ClientClosed

from longwire.asgi import Receive, Scope, Send
from longwire.errors import BrokerError, ConnectionClosed, HubClosed
from longwire.hub import Hub, Joined, OutboxOptions
from tests.conftest import Serve
from tests.hub.conftest import RunHost, received
from tests.hub.connections import FakeConnection, turns, until
from tests.hub.world import Call, World

pytestmark = pytest.mark.anyio


async def test_a_closed_hub() -> None:
    hub = Hub()
    connection = FakeConnection()
    member = hub.connect(connection)
    await member.start()
    await member.join("lobby")
    events = hub.subscribe("lobby")
    await events.__aenter__()
    await asyncio.gather(hub.close(), hub.close())
    await hub.close()
    assert [type(event).__name__ async for event in events] == ["Joined"]
    await events.__aexit__(None, None, None)
    await member.leave("lobby")
    await member.end()
    assert await member.send("x") is False
    assert hub.members("lobby") == []
    for refused in (
        hub.publish("lobby", "x"), hub.presence("lobby"), hub.history("lobby"),
        hub.send_to_user("ann", "x"), hub.disconnect_user("ann"), member.join("lobby"),
        hub.connect(connection).start(), hub.subscribe("lobby").__aenter__(),
    ):  # fmt: skip
        with pytest.raises(HubClosed):
            await refused
    assert connection.closed is None  # closing connections is the server's


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_hub_of_a_module_has_a_loop_in_each_test(is_closed: bool) -> None:
    """As with pytest: made at the import, used in one event loop after another."""
    hub = Hub()

    async def use() -> None:
        for _ in range(2):
            connection = FakeConnection()
            async with hub.connect(connection, user="ann") as member:
                other = hub.connect(FakeConnection(), user="ann")
                await asyncio.gather(other.start(), other.start())
                await asyncio.gather(member.join("lobby"), other.join("lobby"))
                await hub.publish("lobby", "x")
                await hub.send_to_user("ann", "y")
                await other.end()
            assert connection.sent == ["x", "y"]
        await turns()
        assert hub.counts().rooms == hub.counts().members == 0

    for _ in range(3):
        asyncio.run(use())
    if is_closed:
        asyncio.run(hub.close())
        with pytest.raises(HubClosed):
            asyncio.run(use())


def test_a_hub_is_opened_again_by_the_next_lifespan() -> None:
    """As with a test client for each test, and one application at the import."""
    hub = Hub()

    async def live() -> None:
        async with hub:
            assert await hub.presence("lobby") == []
            async with hub.connect(FakeConnection(), user="ann") as member:
                await member.join("lobby")
                assert [client.user for client in await hub.presence("lobby")] == ["ann"]

    for _ in range(3):
        asyncio.run(live())
        with pytest.raises(HubClosed):
            asyncio.run(hub.publish("lobby", "x"))


def test_a_loop_that_ends_under_its_members() -> None:
    """A test that failed has left members behind: the next one is not disturbed."""
    hub = Hub()

    async def fail() -> None:
        member = hub.connect(FakeConnection(is_open=False), user="ann")
        await member.start()
        await member.join("lobby")
        await hub.publish("lobby", "x")

    async def use() -> None:
        connection = FakeConnection()
        async with hub.connect(connection) as member:
            await member.join("lobby")
            await hub.publish("lobby", "x")
        assert connection.sent == ["x"]

    asyncio.run(fail())
    for _ in range(2):
        asyncio.run(use())


async def test_use_before_open() -> None:
    for use in ("publish", "presence", "history", "send_to_user", "disconnect_user"):
        hub = Hub()
        arguments = ["lobby", "x"] if use in ("publish", "send_to_user") else ["lobby"]
        await getattr(hub, use)(*arguments)
        assert hub.members("lobby") == []
        await hub.close()


async def test_a_member_that_ends_while_it_starts() -> None:
    """By callbacks: the connection closes before the hub is open."""
    hub = Hub()
    member = hub.connect(FakeConnection(), user="ann")
    starting = asyncio.create_task(member.start())
    await asyncio.sleep(0)
    await member.end()
    with contextlib.suppress(ConnectionClosed):
        await starting
    await turns()
    assert hub.counts().members == hub.counts().users == 0
    await hub.close()


async def test_a_member_that_closes_before_the_hub_is_used(serve: Serve) -> None:
    """join before start is refused, end before start is harmless."""
    hub = Hub()
    member = hub.connect(FakeConnection())
    with pytest.raises(ConnectionClosed):
        await member.join("lobby")
    await member.end()
    await member.leave("lobby")
    assert hub.counts().members == 0


async def test_delivery_begins_with_accept(run: RunHost) -> None:
    """Who joins before it accepts is sent what came meanwhile, once it has; on every server."""
    hub = Hub()
    joined, accept = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        async with hub.connect(send, scope=scope) as member:
            await member.join("lobby")
            joined.set()
            await accept.wait()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass

    async with hub, run(hub, app=app) as host:

        async def publish() -> None:
            await joined.wait()
            for number in range(3):
                await hub.publish("lobby", str(number))
            await turns()
            accept.set()

        publishing = asyncio.create_task(publish())
        async with websockets.connect(f"ws://{host.host}:{host.port}/") as client:
            assert [await received(client) for _ in range(3)] == ["0", "1", "2"]
            await hub.publish("lobby", "live")
            assert await received(client) == "live"
        await publishing
        await until(lambda: not hub.counts().members)


async def test_who_is_never_accepted_is_gone(run: RunHost) -> None:
    hub = Hub()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        async with hub.connect(send, scope=scope) as member:
            await member.join("lobby")
            await hub.publish("lobby", "x")
            await send({"type": "websocket.close"})

    async with hub, run(hub, app=app) as host:
        with pytest.raises((websockets.InvalidStatus, ClientClosed)):
            await websockets.connect(f"ws://{host.host}:{host.port}/")
        await until(lambda: not hub.counts().members and not hub.counts().rooms)


async def test_who_is_not_accepted_is_let_go(
    run: RunHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that never accepts, and lives on: nobody tries to send to its client for ever."""
    monkeypatch.setattr("longwire.hub.outbox.ACCEPT_SECONDS", 0.2)
    hub = Hub()
    over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        async with hub.connect(send, scope=scope) as member:
            await member.join("lobby")
            await hub.publish("lobby", "x")
            await over.wait()

    async with hub, run(hub, app=app) as host:
        opening = asyncio.create_task(
            websockets.connect(f"ws://{host.host}:{host.port}/").__aenter__()
        )
        await until(lambda: hub.counts().members)
        await until(lambda: not hub.counts().members and not hub.counts().rooms)
        assert "nothing could be sent to a member for 0.2 s" in caplog.text
        over.set()
        with pytest.raises((websockets.InvalidStatus, ClientClosed, EOFError)):
            await opening


# ---- cancelled at every step --------------------------------------------------------------------


class Slow(World):
    """Answers by itself, some turns of the loop later."""

    delay = 2

    async def _call(self, kind: str, effect: Callable[[], Any]) -> Any:
        await turns(self.delay)
        if self.is_closed:
            raise BrokerError("closed")
        result = effect()
        await turns(self.delay)
        return result


async def live(hub: Hub) -> None:
    async with hub.connect(FakeConnection(), user="ann") as member:
        joined = await member.join("lobby")
        await hub.publish("lobby", "x")
        await member.join("lobby", info=1, since=joined.position)
        async with hub.subscribe("lobby", since=joined.position) as events:
            await anext(events)
            await member.leave("lobby")
        await member.join("lobby")


@pytest.mark.parametrize("how", ["cancel", "cancel twice", "close", "close and cancel"])
async def test_cancelled_at_every_step(how: str) -> None:
    """Or the hub is closed under it: nobody stays, no task, no subscription of the broker."""
    for step in range(200):
        world = Slow(window=5)
        hub = Hub(world)
        before = asyncio.all_tasks()
        living = asyncio.create_task(live(hub))
        await turns(step)
        is_over = living.done()
        if "close" in how:
            closing = asyncio.create_task(hub.close())
            await turns(step % 3)
        if "cancel" in how:
            living.cancel()
        if how == "cancel twice":
            await turns(3)
            living.cancel()
        # Nobody but who was cancelled hears of a cancellation.
        allowed: list[type[BaseException]] = []
        if "cancel" in how:
            allowed = [asyncio.CancelledError]
        if "close" in how:
            allowed += [HubClosed, BrokerError, ConnectionClosed, StopAsyncIteration]
        with contextlib.suppress(*allowed):
            await living
        if "close" in how:
            await closing
        await until(lambda: asyncio.all_tasks() <= before)  # noqa: B023
        assert hub.counts() == type(hub.counts())(0, 0, 0), step
        assert (world.present_, world.is_subscribed) == ({}, False), step
        await hub.close()
        if is_over:
            return
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("step", range(12))
async def test_an_end_while_a_member_starts(step: int) -> None:
    """By callbacks, at every step: it is in no user's room afterwards."""
    hub = Hub(world := Slow(window=5))
    member = hub.connect(FakeConnection(), user="ann")
    starting = asyncio.create_task(member.start())
    await turns(step)
    await member.end()
    with contextlib.suppress(ConnectionClosed):
        await starting
    await until(lambda: hub.counts() == type(hub.counts())(0, 0, 0) and not world.is_subscribed)
    await hub.close()


async def test_the_end_waits_until_a_lost_member_has_left() -> None:
    """A publish has found the connection lost a moment before the block ends."""
    hub = Hub(world := Slow(window=5))
    connection = FakeConnection()
    async with hub:
        async with hub.connect(connection) as member:
            await member.join("lobby")
            connection.error = OSError()
            world.delay = 50
            await member.send("x")
            await until(lambda: hub.counts().members == 0)
            assert world.present_  # the broker is still being told
        assert world.present_ == {}
        assert hub.members("lobby") == []


# ---- closed and opened again under what is still on its way -------------------------------------


async def pending(world: World, kind: str) -> Call:
    """Answer what the broker is asked until it is asked for this; return that."""
    while True:
        for call in [call for call in world.pending if not call.answer.done()]:
            if call.kind == kind:
                return call
            world.answer(call)
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_answered", [True, False], ids=["answered", "failed"])
@pytest.mark.parametrize(
    ("who", "stage"),
    [("member", "subscribe"), ("member", "history"), ("member", "enter"),
     ("subscription", "subscribe"), ("subscription", "history")],
)  # fmt: skip
async def test_what_began_before_a_close_changes_nothing_after_it(
    who: str, stage: str, is_answered: bool
) -> None:
    """The broker has answered, or failed, before the close; it is heard when the hub is open again,
    and somebody else in the room."""
    hub = Hub(world := World(window=5))
    await hub.open()
    since = str(world.publish_here())
    old = await hub.connect(FakeConnection()).start()
    opening = old.join("lobby", since=since)
    if who == "subscription":
        opening.close()
        opening = hub.subscribe("lobby", since=since).__aenter__()  # type: ignore[assignment]
    task = asyncio.create_task(opening)
    late = await pending(world, stage)
    late.apply()
    await hub.close()
    await hub.open()
    world.is_prompt = True
    connection = FakeConnection()
    async with hub.connect(connection) as member:
        await member.join("lobby")
        if is_answered:
            late.answer.set_result(late.result)
        else:
            late.answer.set_exception(BrokerError("no answer"))
        with pytest.raises((HubClosed, ConnectionClosed, BrokerError)):
            await task
        await turns()
        assert hub.members("lobby") == [member]
        assert set(world.present_) == {member.id}
        assert world.is_subscribed
        world.publish_here("new")
        while world.in_flight:
            world.deliver()
        await until(lambda: connection.sent)
        assert connection.sent == ["new"]
    await hub.close()
    assert (world.present_, world.is_subscribed) == ({}, False)


@pytest.mark.parametrize("is_opened_again", [True, False])
async def test_a_close_while_a_slow_member_is_told_what_it_missed(is_opened_again: bool) -> None:
    """Its join is over, whatever the hub has become meanwhile: it is nobody's ghost."""
    hub = Hub()
    await hub.open()
    async with hub.subscribe("lobby") as events:
        joined = await anext(events)
        assert isinstance(joined, Joined)
        for number in range(60):
            await hub.publish("lobby", str(number))
    slow = await hub.connect(FakeConnection(is_open=False), outbox=OutboxOptions(8)).start()
    joining = asyncio.create_task(slow.join("lobby", since=joined.position))
    await until(lambda: slow.outbox.is_half_full)
    await hub.close()
    if is_opened_again:
        await hub.open()
    with pytest.raises(ConnectionClosed if is_opened_again else HubClosed):
        await joining
    await turns()
    if is_opened_again:
        assert await hub.presence("lobby") == []
        await hub.close()
