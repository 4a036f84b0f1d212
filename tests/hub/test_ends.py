"""However a connection ends, its member is nowhere any more, and nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from longwire.asgi import Receive
from longwire.errors import ConnectionClosed
from longwire.hub import Hub, Member
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from tests.conftest import Serve
from tests.hub.conftest import Application, Host, RunHost, received
from tests.hub.connections import turns, until
from tests.wire import Wire, close, websocket

pytestmark = pytest.mark.anyio


class Nodes:
    """A hub, and another that looks on: what it is told is what all the others are."""

    def __init__(self) -> None:
        self.rooms = MemoryRooms()
        self.hub = Hub(MemoryBroker(self.rooms))
        self.other = Hub(MemoryBroker(self.rooms))

    async def check_gone(self) -> None:
        """Wait until nobody of the hub is anywhere."""
        hub = self.hub
        await until(lambda: hub.counts().members == 0)
        for name in ("lobby", "kitchen"):
            await until(lambda name=name: not hub.members(name))  # type: ignore[misc]
            assert await self.other.presence(name) == []
        await until(lambda: (hub.counts().users, hub.counts().rooms) == (0, 0))
        for name in ("lobby", "kitchen", "@ann"):
            stored = self.rooms.find(name)
            assert stored is None or not stored.nodes, name
        assert not hub._rooms._tasks or await self.settled()
        assert not hub._membership._departing
        assert not hub._rooms._owed

    async def settled(self) -> bool:
        await turns()
        return not self.hub._rooms._tasks


async def client_closes(host: Host, wire: Wire, member: Member) -> None:
    wire.writer.write(close(1000))


async def client_resets(host: Host, wire: Wire, member: Member) -> None:
    wire.reset()


async def client_breaks_the_protocol(host: Host, wire: Wire, member: Member) -> None:
    wire.writer.write(b"\xff" * 20)


async def application_is_cancelled(host: Host, wire: Wire, member: Member) -> None:
    handler = host.app.handlers[0]
    assert handler is not None
    handler.cancel()


async def member_ends(host: Host, wire: Wire, member: Member) -> None:
    await member.end()
    await member.end()
    assert member.rooms == ()


async def member_closes(host: Host, wire: Wire, member: Member) -> None:
    await member.close(4000)


async def user_is_disconnected(host: Host, wire: Wire, member: Member) -> None:
    await host.app.hub.disconnect_user("ann")


async def hub_closes(host: Host, wire: Wire, member: Member) -> None:
    await host.app.hub.close()


ENDS: list[Any] = [
    client_closes, client_resets, client_breaks_the_protocol, application_is_cancelled,
    member_ends, member_closes, user_is_disconnected, hub_closes,
]  # fmt: skip


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_every_end(run: RunHost, end: Any) -> None:
    nodes = Nodes()
    async with nodes.hub, nodes.other, run(nodes.hub) as host:
        async with websocket(host, "/?user=ann") as wire:
            await until(lambda: host.app.members)
            member = host.app.members[0]
            await member.join("lobby")
            await member.join("kitchen")
            assert len(await nodes.other.presence("lobby")) == 1
            await end(host, wire, member)
            await nodes.check_gone()
            if not nodes.hub._rooms.is_closed:
                with pytest.raises(ConnectionClosed):
                    await member.join("lobby")
                await nodes.hub.publish("lobby", "to nobody")


@pytest.mark.parametrize("error", [None, ZeroDivisionError, asyncio.CancelledError, SystemError])
async def test_the_application_ends_by_itself(
    run: RunHost, error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = Nodes()
    async with nodes.hub, nodes.other, run(nodes.hub) as host:

        async def go(receive: Receive) -> None:
            await host.app.members[0].join("lobby")
            if error is not None:
                raise error

        host.app.go_on = go
        async with websocket(host, "/?user=ann"):
            await until(lambda: host.app.ended == 1)
            await nodes.check_gone()
    caplog.clear()  # the server has told of the error


async def test_the_server_drains(serve: Serve) -> None:
    nodes = Nodes()
    app = Application(nodes.hub)
    async with nodes.hub, nodes.other:
        async with serve(app) as server, websocket(server, "/?user=ann") as wire:
            await until(lambda: app.members)
            await app.members[0].join("lobby")
            finishing = asyncio.create_task(server.server.finish())
            assert (await wire.close_frame()).code == 1012
            wire.writer.write(close(1012))
            await finishing
            await nodes.check_gone()


async def test_a_publish_finds_a_lost_connection(run: RunHost) -> None:
    """While its application waits for something else, and hears nothing of the end."""
    nodes = Nodes()
    go_on = asyncio.Event()
    async with nodes.hub, nodes.other, run(nodes.hub) as host:

        async def wait(receive: Receive) -> None:
            await go_on.wait()

        host.app.go_on = wait
        async with websocket(host, "/?user=ann") as wire:
            await until(lambda: host.app.members)
            await host.app.members[0].join("lobby")
            wire.reset()

            def publish() -> bool:
                publishing.append(asyncio.ensure_future(nodes.other.publish("lobby", "x")))
                return not nodes.hub.counts().members

            publishing: list[Any] = []
            await until(publish)
            await asyncio.gather(*publishing)
            await nodes.check_gone()
            assert host.app.ended == 0
            go_on.set()
            await until(lambda: host.app.ended == 1)


async def test_nothing_leaks(run: RunHost) -> None:
    hub = Hub()
    async with hub, run(hub) as host:
        async with host.client("bob"):  # what is made once for all is made
            await host.app.members[0].join("lobby")
        await until(lambda: host.app.ended == 1)
        host.app.members.clear()
        host.app.sends.clear()
        host.app.handlers.clear()
        tasks = len(asyncio.all_tasks())
        watched = []
        for number in range(20):
            async with host.client("ann") as (client, member):
                await member.join("lobby", info={"a": 1})
                await hub.publish("lobby", "x")
                assert await received(client) == "x"
                if number % 2:
                    await member.close(4000)
            watched += [weakref.ref(host.app.handlers[-1])]
        await until(lambda: host.app.ended == 21)
        del member, client
        host.app.members.clear()
        host.app.sends.clear()
        host.app.handlers.clear()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await turns()  # the server's callbacks
        gc.collect()
        assert not [task for task in watched if task() is not None]
        assert not [o for o in gc.get_objects() if type(o) is Member]
        assert (
            hub.counts().members == len(hub._membership._departing) == len(hub._rooms._tasks) == 0
        )
