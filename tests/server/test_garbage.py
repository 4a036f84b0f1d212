"""What a connection leaves behind: nothing that only the garbage collector would find.

Objects in cycles live until it runs, which is seldom: hundreds of ended connections would keep
their memory, and each handshake would pay for the search.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.hub import Hub
from tests.applications import echo
from tests.conftest import Serve, Served
from tests.wire import Wire, close, connect, frame, request, text

pytestmark = pytest.mark.anyio


async def any_end(scope: Scope, receive: Receive, send: Send) -> None:
    """An echo, or what the path says."""
    if scope["path"] == "/endless":
        while (await receive())["type"] != "http.disconnect":
            pass
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})
    elif scope["path"] == "/hub":
        await send({"type": "websocket.accept"})
        async with Hub() as hub, hub.connect(send, scope=scope, user="ann") as member:
            await member.join("lobby")
            await member.send("welcome")
            while (await receive())["type"] != "websocket.disconnect":
                pass
    elif scope["path"] == "/refused":
        await send({"type": "websocket.close"})
    elif scope["path"] == "/denied":
        await send({"type": "websocket.http.response.start", "status": 401})
        await send({"type": "websocket.http.response.body"})
    elif scope["path"] == "/closed":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
    else:
        await echo(scope, receive, send)


async def hub_member_closes(wire: Wire) -> None:
    await wire.send(request("/hub"))
    assert (await wire.response()).status == 101
    assert await wire.message() == "welcome"
    await wire.send(close(1000))
    await wire.eof()


async def hub_member_is_lost(wire: Wire) -> None:
    await wire.send(request("/hub"))
    assert (await wire.response()).status == 101
    wire.reset()


async def peer_closes(wire: Wire) -> None:
    await wire.send(request("/") + text("one") + close(1000))
    await wire.eof()


async def peer_breaks_the_protocol(wire: Wire) -> None:
    await wire.send(request("/") + frame(3))
    await wire.eof()


async def peer_is_lost(wire: Wire) -> None:
    await wire.send(request("/"))
    assert (await wire.response()).status == 101
    wire.reset()


async def application_closes(wire: Wire) -> None:
    await wire.send(request("/closed"))
    await wire.response()
    assert (await wire.close_frame()).code == 4000
    await wire.send(close(4000))
    await wire.eof()


async def refused(wire: Wire) -> None:
    await wire.send(request("/refused"))
    assert (await wire.response()).status == 403


async def denied(wire: Wire) -> None:
    await wire.send(request("/denied"))
    assert (await wire.response()).status == 401


async def requests(wire: Wire) -> None:
    await wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert [(await wire.response()).body for _ in range(2)] == [b"ok", b"ok"]


async def bad_request(wire: Wire) -> None:
    await wire.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await wire.response()).status == 400


async def bad_handshake(wire: Wire) -> None:
    await wire.send(request("/", headers={"Sec-WebSocket-Key": "short"}))
    assert (await wire.response()).status == 400


async def bad_target(wire: Wire) -> None:
    await wire.send(request("nowhere"))
    assert (await wire.response()).status == 400


async def lost_request(wire: Wire) -> None:
    await wire.send(b"POST /endless HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    wire.reset()


async def nothing(wire: Wire) -> None:
    pass


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "talk",
    [
        peer_closes, peer_breaks_the_protocol, peer_is_lost, application_closes, refused, denied,
        requests, bad_request, bad_handshake, bad_target, lost_request, nothing, hub_member_closes,
        hub_member_is_lost,
    ],
)  # fmt: skip
async def test_an_ended_connection_leaves_no_garbage(
    serve: Serve, talk: Callable[[Wire], Awaitable[None]]
) -> None:
    async with serve(any_end) as server:
        before = connection_objects()
        for _ in range(3):
            async with connect(server) as wire:
                await talk(wire)
        await all_over(server)
        assert connection_objects() - before == Counter()


async def all_over(server: Served) -> None:
    await asyncio.wait_for(server.state.idle.wait(), 5)
    for _ in range(3):
        await asyncio.sleep(0)  # transports finish after they have told of their end


def connection_objects() -> Counter[str]:
    """Count what there is one of in each connection, by type."""
    return Counter(
        type(thing).__name__
        for thing in gc.get_objects()
        if str(type(thing).__module__).startswith(("longwire.server.", "longwire.engine."))
    )
