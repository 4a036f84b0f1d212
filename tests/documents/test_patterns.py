"""The API page's advanced patterns: rooms, subprotocols, shutdown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute
from longwire.toolkit.testing import AsyncTestClient
from tests.conftest import Serve
from tests.documents.blocks import connection_manager, graceful_shutdown, subprotocols
from tests.documents.conftest import Connect
from tests.wire import close, text, websocket

pytestmark = pytest.mark.anyio

Printed = pytest.CaptureFixture[str]

# ---- rooms ----------------------------------------------------------------------------------


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The block's manager, a new one for each test."""
    manager = connection_manager.ConnectionManager()
    monkeypatch.setattr(connection_manager, "manager", manager)
    return manager


def chat(*routes: WebSocketRoute) -> Starlette:
    path = "/ws/{room_id}"
    return Starlette(routes=[*routes, WebSocketRoute(path, connection_manager.chat_websocket)])


async def test_rooms(connect: Connect, manager: Any) -> None:
    async with connect(chat()) as client:
        async with client.websocket_connect("/ws/blue?user_id=ada") as ada:
            async with client.websocket_connect("/ws/blue?user_id=bob") as bob:
                assert await ada.receive_json() == {
                    "type": "user_joined",
                    "user_id": "bob",
                    "count": 2,
                }
                await bob.send_json({"content": "hi"})
                for member in (ada, bob):
                    message = await member.receive_json()
                    assert message.pop("timestamp") > 0
                    assert message == {
                        "type": "message",
                        "user_id": "bob",
                        "room_id": "blue",
                        "content": "hi",
                    }
                await manager.send_personal_message("ada", {"only": "you"})
                assert await ada.receive_json() == {"only": "you"}
            assert await ada.receive_json() == {"type": "user_left", "user_id": "bob", "count": 1}
            assert list(manager.user_connections) == ["ada"]
    # The connection's end emptied the room: nobody had to catch it.
    assert (manager.active_connections, manager.user_connections) == ({}, {})


async def test_a_lost_connection_leaves_its_room(connect: Connect, manager: Any) -> None:
    async with connect(chat()) as client:
        async with client.websocket_connect("/ws/blue?user_id=ada") as ada:
            async with client.websocket_connect("/ws/blue") as other:
                assert (await ada.receive_json())["user_id"] == "anonymous"
                await other.lose()
            assert (await ada.receive_json())["type"] == "user_left"


async def test_a_dead_peer_is_removed_and_stops_nobody(connect: Connect, manager: Any) -> None:
    dead: list[WebSocket] = []

    async def die(websocket: WebSocket) -> None:
        """Be in the room, and closed."""
        await manager.connect(websocket, "blue", "dead")
        await websocket.close()
        dead.append(websocket)

    async with connect(chat(WebSocketRoute("/ws/die", die))) as client:
        async with client.websocket_connect("/ws/die") as gone:
            with pytest.raises(WebSocketDisconnect):
                await gone.receive_text()
        async with client.websocket_connect("/ws/blue?user_id=ada") as ada:
            for number in range(2):
                await ada.send_json({"content": number})
                assert (await ada.receive_json())["content"] == number
            assert dead[0] not in manager.active_connections["blue"]


async def test_a_slow_peer_stops_nobody(serve: Serve, manager: Any) -> None:
    async with (
        serve(chat(), ws_send_buffer=1024) as server,
        websocket(server, "/ws/blue?user_id=slow", receive_buffer=4096),
        AsyncTestClient(server.url("http", "")) as client,
        client.websocket_connect("/ws/blue?user_id=ada") as ada,
    ):
        for number in range(300):  # 12 MB: more than kernels keep for the slow one
            await ada.send_json({"content": f"{number} " + "x" * 40_000})
            assert (await ada.receive_json())["content"].startswith(f"{number} ")


# ---- subprotocols ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["chat"], "chat"),
        (["v0", "chat", "api.v1"], "chat"),
        (["notification"], "notification"),
        (["api.v1", "chat"], "api.v1"),
        (["v0"], None),
        ([], None),
    ],
)
async def test_subprotocols(
    connect: Connect, capsys: Printed, offered: list[str], chosen: str | None
) -> None:
    app = Starlette(routes=[WebSocketRoute("/ws", subprotocols.subprotocol_websocket)])
    async with connect(app) as client:
        async with client.websocket_connect("/ws", offered) as websocket:
            assert websocket.accepted_subprotocol == chosen
            if chosen == "api.v1":
                await websocket.send_json({"command": "list_users"})
                users = {"type": "user_list", "users": ["ada", "bob"]}
                assert await websocket.receive_json() == users
                await websocket.send_json({"command": "send_message", "message_id": 5})
                assert await websocket.receive_json() == {"type": "message_sent", "id": 5}
            elif chosen == "notification":
                assert (await websocket.receive_text()).startswith("[NOTIFICATION]")
            else:
                await websocket.send_text("hi")
                answer = "[CHAT] hi" if chosen else "hi"
                assert await websocket.receive_text() == answer
    assert capsys.readouterr().out == f"Client disconnected (protocol: {chosen})\n"


# ---- errors and shutdown --------------------------------------------------------------------


@pytest.fixture
def server_block(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The block's server, a new one for each test."""
    server = graceful_shutdown.WebSocketServer()
    monkeypatch.setattr(graceful_shutdown, "server", server)
    return server


def shutting() -> Starlette:
    return Starlette(routes=[WebSocketRoute("/ws", graceful_shutdown.websocket_endpoint)])


async def test_errors_are_answered(connect: Connect, server_block: Any, capsys: Printed) -> None:
    async with connect(shutting()) as client:
        async with client.websocket_connect("/ws") as websocket:
            connected = await websocket.receive_json()
            assert connected["type"] == "connected"
            await websocket.send_json({"type": "ping"})
            assert await websocket.receive_json() == {"type": "pong"}
            await websocket.send_json({"type": "echo", "data": [1]})
            assert await websocket.receive_json() == {"type": "echo_response", "data": [1]}
            for message, answer in (
                ('{"type": "x"}', "Unknown message type: x"),
                ("no json", "Invalid JSON format"),
                ("[]", "Failed to process message"),
            ):
                await websocket.send_text(message)
                assert await websocket.receive_json() == {"type": "error", "message": answer}
            await websocket.send_bytes(b"unexpected")
            assert (await websocket.receive_json())["message"] == "Server error occurred"
            with pytest.raises(WebSocketDisconnect) as end:
                await websocket.receive_json()
            assert end.value.code == 1000
    assert server_block.connections == set()
    assert "Connection closed. Active: 0" in capsys.readouterr().out


async def test_a_timeout_loses_no_message(connect: Connect, server_block: Any) -> None:
    async with connect(shutting()) as client:
        async with client.websocket_connect("/ws") as websocket:
            await websocket.receive_json()
            await asyncio.sleep(1.2)  # the block's own timeout, of one second, passes
            for number in range(3):
                await websocket.send_json({"type": "echo", "data": number})
                assert (await websocket.receive_json())["data"] == number


async def test_shutdown_is_broadcast(connect: Connect, server_block: Any) -> None:
    async with connect(shutting()) as client:
        async with client.websocket_connect("/ws") as one, client.websocket_connect("/ws") as two:
            for member in (one, two):
                await member.receive_json()
            await server_block.broadcast_shutdown()
            for member in (one, two):
                assert (await member.receive_json())["type"] == "server_shutdown"
                with pytest.raises(WebSocketDisconnect) as end:
                    await member.receive_json()
                assert (end.value.code, end.value.reason) == (1001, "Server shutdown")
    assert server_block.connections == set()


async def test_the_drain_notice_in_process(server_block: Any) -> None:
    async with AsyncTestClient(shutting()) as client:
        async with client.websocket_connect("/ws") as websocket:
            await websocket.receive_json()
            await websocket.go_away()
            # The loop looks at its event once a second, and returns: a normal close.
            with pytest.raises(WebSocketDisconnect) as end:
                await websocket.receive_json()
            assert end.value.code == 1000
    assert server_block.shutdown_event.is_set()


async def test_the_drain_notice_of_the_server(serve: Serve, server_block: Any) -> None:
    async with serve(shutting()) as server, websocket(server, "/ws") as client:
        await client.message()
        await client.send(text('{"type": "ping"}'))
        assert await client.message() == '{"type":"pong"}'
        ending = asyncio.create_task(server.server.finish())
        assert (await client.close_frame()).code == 1012
        assert server_block.shutdown_event.is_set()
        await client.send(close(1012))
        await client.eof()
        await asyncio.wait_for(ending, 5)
    assert server_block.connections == set()
