# pyright: strict
"""Code as users write it: mypy strict and pyright strict accept it, and know its types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, assert_type

import msgspec
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from longwire import (
    ClosedBy,
    Closure,
    Subprotocols,
    WebSocket,
    WebSocketClose,
    WebSocketDisconnect,
    WebSocketEndpoint,
    WebSocketRoute,
    WebSocketState,
    websocket_app,
)
from longwire.toolkit import (
    AllowedOrigins,
    ConnectionRate,
    MessageRate,
    MsgspecCodec,
    Refusal,
    Token,
    from_first_message,
    from_query,
    one_of,
)
from longwire.toolkit import fastapi as longwire_fastapi
from longwire.toolkit.testing import AsyncTestClient, TestClient


class Move(msgspec.Struct):
    x: int


async def chat(websocket: WebSocket) -> None:
    await websocket.accept("chat", headers=[(b"x-room", b"general")])
    assert_type(await websocket.receive_text(), str)
    assert_type(await websocket.receive_bytes(), bytes)
    assert_type(await websocket.receive_json(type=Move), Move)
    async for move in websocket.iter_json(type=Move):
        assert_type(move, Move)
    assert_type(websocket.subprotocols, list[str])
    assert_type(websocket.client_state, WebSocketState)
    if websocket.going_away.is_set():
        await websocket.going_away
    closure = await websocket.closed
    assert_type(closure, Closure)
    assert_type(closure.by, ClosedBy)
    try:
        await websocket.send_json({"a": 1}, mode="binary")
    except WebSocketDisconnect as error:
        assert_type(error.code, int)
        assert_type(error.reason, str)
    await websocket.close(4000, "done")


class Echo(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json(data)


class User(msgspec.Struct):
    name: str


async def find_user(token: str) -> User | None:
    return User(token) if token else None


def no_late_joiners(limit: int) -> Callable[[Any], Awaitable[None]]:
    async def guard(connection: Any) -> None:
        if limit < 1:
            raise Refusal(403, "the room is full")

    return guard


protocols = Subprotocols()


@protocols("v1")
async def version_1(websocket: WebSocket) -> None:
    await websocket.send_text("1")


@protocols.default
async def version_0(websocket: WebSocket) -> None:
    await websocket.send_text("0")


routes: list[BaseRoute] = [
    WebSocketRoute(
        "/chat/{room}",
        chat,
        name="chat",
        origins=["https://example.com"],
        guards=[
            Token(find_user, from_query("key"), from_first_message(), recheck=60),
            MessageRate(100, per=60),
            ConnectionRate(10),
            no_late_joiners(3),
        ],
        subprotocols=["chat"],
        compression=False,
        max_size=65536,
        codec=MsgspecCodec(),
    ),
    WebSocketRoute("/echo", Echo, origins=AllowedOrigins(is_required=True)),
    WebSocketRoute("/versions", protocols.handle),
    WebSocketRoute("/gone", WebSocketClose(4004)),
]
app = Starlette(routes=routes)
alone = websocket_app(chat, guards=[Token(one_of(alice="sesame"))])

api = FastAPI()
token = Token(find_user)


@api.websocket("/ws", dependencies=[Depends(longwire_fastapi.same_origin)])
async def endpoint(
    websocket: longwire_fastapi.WebSocket, user: Annotated[User, Depends(token)]
) -> None:
    assert_type(user.name, str)
    await websocket.accept()
    assert_type(await websocket.closed, Closure)


def test_chat() -> None:
    with TestClient(app) as client, client.websocket_connect("/chat/general", ["chat"]) as ws:
        ws.send_json({"x": 1})
        assert_type(ws.receive_text(timeout=1), str)
        ws.lose()


async def test_chat_again() -> None:
    async with AsyncTestClient(app) as client:
        async with client.websocket_connect("/chat/general", headers={"Origin": "x"}) as ws:
            assert_type(await ws.receive_bytes(), bytes)
            assert_type(ws.client_state, WebSocketState)
