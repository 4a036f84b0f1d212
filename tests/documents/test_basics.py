"""The API page: basic usage and routing, in process and over the server."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette

from longwire import WebSocketDisconnect, WebSocketRoute
from longwire.toolkit.testing import Denied
from tests.documents import stand_ins
from tests.documents.blocks import (
    json_messages,
    path_parameters,
    query_and_headers,
    simple_echo,
)
from tests.documents.conftest import Connect

pytestmark = pytest.mark.anyio

Printed = pytest.CaptureFixture[str]


async def test_simple_echo(connect: Connect, capsys: Printed) -> None:
    async with connect(simple_echo.app) as client:
        async with client.websocket_connect("/ws") as websocket:
            for message in ("hello", "", "héllo"):
                await websocket.send_text(message)
                assert await websocket.receive_text() == f"Echo: {message}"
        assert (await client.get("/ws")).status_code == 404
    assert capsys.readouterr().out == "Client disconnected\n"


async def test_json_messages(connect: Connect, capsys: Printed) -> None:
    app = Starlette(routes=[WebSocketRoute("/ws/json", json_messages.json_websocket)])
    async with connect(app) as client:
        async with client.websocket_connect("/ws/json") as websocket:
            await websocket.send_json({"type": "ping"})
            pong = await websocket.receive_json()
            assert pong["type"] == "pong"
            assert pong["timestamp"] > 0
            await websocket.send_json({"type": "message", "content": "é"})
            assert await websocket.receive_json() == {
                "type": "response",
                "original": "é",
                "processed": "É",
            }
            await websocket.send_json({"type": "other"})
            assert (await websocket.receive_json())["message"] == "Unknown message type"
        async with client.websocket_connect("/ws/json") as websocket:
            await websocket.send_text("{no json")
            assert (await websocket.receive_json())["message"] == "Invalid JSON"
            with pytest.raises(WebSocketDisconnect) as end:
                await websocket.receive_json()
            assert end.value.code == 1003
    assert capsys.readouterr().out == "Client disconnected\n"


@pytest.mark.parametrize(
    ("path", "room"), [("/ws/user/123", None), ("/ws/room/7/user/123", 7)], ids=["user", "room"]
)
async def test_path_parameters(
    connect: Connect, capsys: Printed, path: str, room: int | None
) -> None:
    user: dict[str, Any] = {"user_id": 123, "room_id": room}
    async with connect(Starlette(routes=path_parameters.routes)) as client:
        async with client.websocket_connect(path) as websocket:
            assert await websocket.receive_json() == {"type": "welcome", **user}
            await websocket.send_json({"content": "hi"})
            expected = {"type": "message", **user, "content": "hi"}
            assert await websocket.receive_json() == expected
        with pytest.raises(Denied):
            async with client.websocket_connect("/ws/user/ada"):
                pass
    assert capsys.readouterr().out == f"User 123 disconnected from room {room}\n"


def with_auth() -> Starlette:
    return Starlette(routes=[WebSocketRoute("/ws", query_and_headers.websocket_with_auth)])


@pytest.mark.parametrize("way", ["query", "header"])
async def test_a_token_in_query_or_header(connect: Connect, capsys: Printed, way: str) -> None:
    stand_ins.processed.clear()
    path, headers = (
        ("/ws?token=abc", {}) if way == "query" else ("/ws", {"authorization": "Bearer abc"})
    )
    async with connect(with_auth()) as client:
        async with client.websocket_connect(path, headers=headers) as websocket:
            assert await websocket.receive_json() == {"type": "authenticated", "user": "ada"}
            await websocket.send_json(["first"])
            await websocket.send_json({"second": 2})
    assert stand_ins.processed == [("ada", ["first"]), ("ada", {"second": 2})]
    assert capsys.readouterr().out == "User ada disconnected\n"


@pytest.mark.parametrize("path", ["/ws", "/ws?token=wrong"])
async def test_without_a_token_it_is_http_403(connect: Connect, path: str) -> None:
    # The block closes with 1008 before accept: no client can see that code.
    async with connect(with_auth()) as client:
        with pytest.raises(Denied) as refusal:
            async with client.websocket_connect(path):
                pass
    assert refusal.value.status_code == 403
