"""`longwire.fanout`: one message is prepared once and written to many, past their send()."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from longwire.asgi import Receive, Scope, Send
from tests.conftest import Serve
from tests.wire import websocket

pytestmark = [pytest.mark.anyio, pytest.mark.every_engine]

Write = Callable[[Any], bool]


class Attaching:
    """An application that keeps the writer of each of its connections."""

    def __init__(self) -> None:
        self.writers: list[Write] = []
        self.ended = asyncio.Event()
        self.prepare: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.prepare = scope["extensions"]["longwire.fanout"]["prepare"]
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello", "attach": self.writers.append})
        while (await receive())["type"] == "websocket.receive":
            pass
        self.ended.set()


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize("message", ["x" * 1000, b"\x00\xff" * 500, "", "größer" * 50])
async def test_many_get_one_message(
    serve: Serve, compression: str | None, message: str | bytes
) -> None:
    app = Attaching()
    async with serve(app) as server:
        url = server.url("ws")
        async with (
            websockets.connect(url, compression=compression) as first,
            websockets.connect(url, compression=None) as second,
        ):
            assert [await first.recv(), await second.recv()] == ["hello", "hello"]
            for _ in range(2):
                prepared = app.prepare(message)
                assert [write(prepared) for write in app.writers] == [True, True]
            for client in (first, second):
                assert [await client.recv(), await client.recv()] == [message, message]


async def test_a_reader_that_stops_is_written_to_until_its_bound(serve: Serve) -> None:
    app = Attaching()
    async with serve(app, ws_send_buffer=64 * 1024) as server, websocket(server):
        async with asyncio.timeout(10):
            while not app.writers:
                await asyncio.sleep(0)
        prepared = app.prepare(b"x" * 16 * 1024)
        written = 0
        refused = 0
        while refused < 200:  # turns of the loop in which nothing more is taken
            if app.writers[0](prepared):
                written += prepared.size
                refused = 0
            else:
                refused += 1
            await asyncio.sleep(0)
            assert written < 16 * 1024 * 1024  # what the kernel takes, and no end


async def test_nothing_is_written_behind_the_end(serve: Serve) -> None:
    app = Attaching()
    async with serve(app) as server:
        async with websockets.connect(server.url("ws")) as client:
            await client.recv()
        await app.ended.wait()
        assert app.writers[0](app.prepare("late")) is False
