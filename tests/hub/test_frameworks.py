"""Members by what each framework has for a send, on our server: the WebSocket, or ASGI's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets
from channels.generic.websocket import AsyncWebsocketConsumer
from fastapi import FastAPI
from fastapi import WebSocket as FastAPIWebSocket
from litestar import Litestar
from litestar import WebSocket as LitestarWebSocket
from litestar.exceptions import WebSocketDisconnect as LitestarDisconnect
from litestar.handlers import websocket as litestar_websocket
from quart import Quart
from quart import websocket as quart_websocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket
from starlette.websockets import WebSocketDisconnect

import longwire
from longwire.hub import Hub, Member
from tests import django_settings
from tests.conftest import Serve
from tests.hub.conftest import received
from tests.hub.connections import until

pytestmark = pytest.mark.anyio


async def talk(hub: Hub, member: Member, hear: Callable[[], Awaitable[str]]) -> None:
    """Be in the lobby; what is heard is published, `close` closes."""
    async with member:
        await member.join("lobby")
        while True:
            if (heard := await hear()) == "close":
                await member.close(4000, "bye")
            else:
                await hub.publish("lobby", heard)


def starlette(hub: Hub) -> Any:
    async def endpoint(websocket: StarletteWebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await talk(hub, hub.connect(websocket, user="ann"), websocket.receive_text)

    return Starlette(routes=[WebSocketRoute("/", endpoint)])


def fastapi(hub: Hub) -> Any:
    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: FastAPIWebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await talk(hub, hub.connect(websocket, user="ann"), websocket.receive_text)

    return app


def toolkit(hub: Hub) -> Any:
    async def endpoint(websocket: longwire.WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(longwire.WebSocketDisconnect):
            await talk(hub, hub.connect(websocket, user="ann"), websocket.receive_text)

    return longwire.websocket_app(endpoint)


def litestar(hub: Hub) -> Any:
    @litestar_websocket("/")
    async def endpoint(socket: LitestarWebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        with contextlib.suppress(LitestarDisconnect):
            await talk(hub, hub.connect(socket, user="ann"), socket.receive_text)

    return Litestar([endpoint])


def channels(hub: Hub) -> Any:
    django_settings.configure()

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
        async def connect(self) -> None:
            await self.accept()
            self.member = hub.connect(self.base_send, scope=self.scope, user="ann")
            await self.member.start()
            await self.member.join("lobby")

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            if text_data == "close":
                await self.member.close(4000, "bye")
            else:
                await hub.publish("lobby", text_data)

        async def disconnect(self, code: int) -> None:
            await self.member.end()

    return Consumer.as_asgi()


def quart(hub: Hub) -> Any:
    """Its websocket.send() takes the data: ASGI's own is taken at the application's door."""
    app = Quart(__name__)

    @app.websocket("/")
    async def endpoint() -> None:
        await quart_websocket.accept()
        scope: Any = quart_websocket.scope
        hear: Any = quart_websocket.receive
        await talk(hub, hub.connect(scope["tests.send"], scope=scope, user="ann"), hear)

    async def door(scope: Any, receive: Any, send: Any) -> None:
        own: Any = {**scope, "tests.send": send}
        await app(own, receive, send)

    return door


@pytest.mark.parametrize(
    "framework", [starlette, fastapi, toolkit, litestar, channels, quart], ids=lambda f: f.__name__
)
async def test_a_framework(serve: Serve, framework: Any) -> None:
    hub = Hub()
    async with hub, serve(framework(hub)) as server:
        async with (
            websockets.connect(server.url("ws")) as first,
            websockets.connect(server.url("ws")) as second,
        ):
            await until(lambda: len(hub.members("lobby")) == 2)
            for text in ("", "hello", "größer" * 100):
                await first.send(text)
                assert [await received(first), await received(second)] == [text, text]
            await hub.send_to_user("ann", b"\x00")
            assert [await received(first), await received(second)] == [b"\x00", b"\x00"]
            await first.send("close")
            await asyncio.wait_for(first.wait_closed(), 5)
            assert (first.close_code, first.close_reason) == (4000, "bye")
            await until(lambda: len(hub.members("lobby")) == 1)
        await until(lambda: hub.counts() == type(hub.counts())(0, 0, 0))
