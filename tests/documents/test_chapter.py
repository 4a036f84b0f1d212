"""The chapter on WebSockets over ASGI: its applications, its clients, its shell command."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from longwire.asgi import Message, Receive, Scope, Send
from longwire.toolkit.testing import Denied
from tests import wire
from tests.conftest import Serve
from tests.documents.blocks import (
    binary_echo,
    chat_room,
    fastapi_hello,
    http_and_websocket,
    rejecting,
    starlette_echo,
    ws_app,
)
from tests.documents.conftest import Connect
from tests.documents.execution import BLOCKS, run_script, text_of
from tests.process import running

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def empty_rooms() -> None:
    chat_room.rooms.clear()


# ---- the handshake --------------------------------------------------------------------------


async def test_the_handshake_byte_for_byte(serve: Serve) -> None:
    asked = text_of("handshake_request.http").replace("\n", "\r\n") + "\r\n"
    status, *headers = text_of("handshake_response.http").splitlines()
    async with serve(ws_app.application) as server, wire.connect(server) as client:
        await client.send(asked.encode())
        head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
        lines = head.decode().split("\r\n")
        assert lines[0] == status
        assert {line.lower() for line in headers} <= {line.lower() for line in lines}
        # From here on it is no longer HTTP.
        await client.send(wire.text("hello"))
        assert await client.message() == "Echo: hello"


# ---- the simplest application, and how it is run --------------------------------------------


async def test_the_simplest_application(connect: Connect) -> None:
    async with connect(ws_app.application) as client:
        assert (await client.get("/")).text == "over HTTP"
        async with client.websocket_connect("/ws") as websocket:
            for text in ("hello", "", "héllo"):
                await websocket.send_text(text)
                assert await websocket.receive_text() == f"Echo: {text}"
            for data in (b"\x00\xff", b""):
                await websocket.send_bytes(data)
                assert await websocket.receive_bytes() == data


def test_the_command() -> None:
    program, *arguments = shlex.split(text_of("run_it.sh"), comments=True)
    assert (program, arguments[0]) == ("longwire", "serve")
    # The port alone is not the documented 8000, which another program may have.
    with running(*arguments[1:], environment={"LONGWIRE_PORT": "0"}, cwd=BLOCKS) as process:
        from websockets.sync.client import connect

        with connect(process.url.replace("http", "ws") + "/ws", close_timeout=5) as client:
            client.send("hello")
            assert client.recv(timeout=5) == "Echo: hello"


async def test_the_echo_client(serve: Serve) -> None:
    async with serve(ws_app.application) as server:
        printed = await run_script("echo_client.py", server.url("ws", ""))
    assert printed == "Echo: Hello, WebSocket!\n"


# ---- the chat room --------------------------------------------------------------------------


async def heard(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), 5))


async def test_the_chat_room(connect: Connect) -> None:
    async with connect(chat_room.handle_websocket) as client:
        async with client.websocket_connect("/ws") as one:
            async with client.websocket_connect("/ws?room=general&room=red") as two:
                joined = {"type": "system", "message": "A user joined #general"}
                assert await one.receive_json() == joined
                for sent, text in (
                    ('{"text": "hi"}', "hi"),
                    ("no json", "no json"),
                    ("", ""),
                    ('{"other": 1}', '{"other": 1}'),
                ):
                    await two.send_text(sent)
                    message = {"type": "message", "text": text, "room": "general"}
                    assert await one.receive_json() == message
                    assert await two.receive_json() == message
                await two.send_bytes(b"passed over")
            assert (await one.receive_json())["message"] == "A user left #general"
    assert not any(chat_room.rooms.values())


async def test_rooms_are_separate_and_unquoted(serve: Serve) -> None:
    async with (
        serve(chat_room.handle_websocket) as server,
        connect_client(server.url("ws", "/ws?room=blue%20room")) as one,
        connect_client(server.url("ws", "/ws?room=red")) as other,
        connect_client(server.url("ws", "/ws?room=blue+room")) as two,
    ):
        assert (await heard(one))["message"] == "A user joined #blue room"
        await two.send("hi")
        assert (await heard(one))["room"] == "blue room"
        await other.send("only me")
        assert (await heard(other))["text"] == "only me"


async def test_who_leaves_before_accept_was_never_there() -> None:
    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {"type": "websocket", "query_string": b"room=r"}
    await chat_room.handle_websocket(scope, receive, send)
    assert chat_room.rooms == {}


async def test_a_dead_client_is_removed_and_stops_nobody(connect: Connect) -> None:
    async def dead(message: Message) -> None:
        raise ConnectionResetError

    async with connect(chat_room.handle_websocket) as client:
        async with client.websocket_connect("/ws") as one:
            await one.send_text("I am in")
            await one.receive_json()
            chat_room.rooms["general"].add(dead)
            for text in ("its mailbox fails", "it is removed"):
                await one.send_text(text)
                assert (await one.receive_json())["text"] == text
            assert dead not in chat_room.rooms["general"]


async def test_a_slow_client_stops_nobody(serve: Serve) -> None:
    async with (
        serve(chat_room.handle_websocket, ws_send_buffer=1024) as server,
        wire.websocket(server, "/ws", receive_buffer=4096),
        connect_client(server.url("ws", "/ws")) as client,
    ):
        for number in range(300):  # 12 MB: more than kernels keep for the slow one
            await client.send(json.dumps({"text": f"{number} " + "x" * 40_000}))
            assert (await heard(client))["text"].startswith(f"{number} ")


async def test_the_chat_clients(serve: Serve) -> None:
    async with serve(chat_room.handle_websocket) as server:
        printed = await run_script("chat_clients.py", server.url("ws", ""))
    lines = printed.splitlines()
    for name in ("Alice", "Bob", "Carol"):
        assert f"{name} connected" in lines
        own = {"type": "message", "text": f"Hello from {name}", "room": "general"}
        assert f"{name} received: {own}" in lines
    assert not any(chat_room.rooms.values())


# ---- refusing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/?token=valid-token", {}), ("/?token=valid%2Dtoken", {}), ("/", {"Authorization": ""})],
    ids=["query", "quoted", "header"],
)
async def test_a_valid_token(serve: Serve, path: str, headers: dict[str, str]) -> None:
    bearer = dict.fromkeys(headers, "Bearer valid-token")
    async with (
        serve(rejecting.handle_websocket) as server,
        connect_client(server.url("ws", path), additional_headers=bearer) as client,
    ):
        with pytest.raises(ConnectionClosed):  # the block ends after accept
            await asyncio.wait_for(client.recv(), 5)
        assert client.close_code == 1000


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/?token=%C3%A9"])
@pytest.mark.parametrize("header", [None, "Basic valid-token", "Bearer wrong"])
async def test_the_close_code_is_seen(serve: Serve, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with (
        serve(rejecting.handle_websocket) as server,
        connect_client(server.url("ws", path), additional_headers=headers) as client,
    ):
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), 5)
        assert client.close_code == 4001


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 4000, 4999])
async def test_the_listed_close_codes(serve: Serve, code: int) -> None:
    async def close(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code})

    async with serve(close) as server, connect_client(server.url("ws")) as client:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), 5)
        assert client.close_code == code


# ---- binary; both protocols; the concurrency model ------------------------------------------


async def test_binary_echo(connect: Connect) -> None:
    async with connect(binary_echo.binary_echo) as client:
        async with client.websocket_connect("/") as websocket:
            for data in (b"\x00\x01\xff", b""):
                await websocket.send_bytes(data)
                assert await websocket.receive_bytes() == data
            for text in ("é", ""):
                await websocket.send_text(text)
                assert await websocket.receive_bytes() == text.encode()


async def test_http_and_websocket(connect: Connect) -> None:
    async with connect(http_and_websocket.application) as client:
        page = await client.get("/")
        assert "<title>WebSocket Chat</title>" in page.text
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        missing = await client.get("/nowhere")
        assert (missing.status_code, missing.text) == (404, "Not Found")
        async with client.websocket_connect("/ws/echo") as echo:
            await echo.send_text("hi")
            assert await echo.receive_text() == "Echo: hi"
        async with client.websocket_connect("/ws/chat") as chat:
            await chat.send_json({"text": "hi"})
            assert (await chat.receive_json())["text"] == "hi"
        with pytest.raises(Denied) as refusal:
            async with client.websocket_connect("/ws/nowhere"):
                pass
        assert refusal.value.status_code == 404


async def test_both_over_one_port(serve: Serve) -> None:
    async with (
        serve(http_and_websocket.application, lifespan="on") as server,
        httpx.AsyncClient(base_url=server.url("http", "")) as http,
        connect_client(server.url("ws", "/ws/echo")) as client,
    ):
        assert (await http.get("/")).status_code == 200
        await client.send("hi")
        assert await asyncio.wait_for(client.recv(), 5) == "Echo: hi"
        with pytest.raises(InvalidStatus) as refusal:
            await connect_client(server.url("ws", "/ws/nowhere"))
        assert refusal.value.response.status_code == 404


async def test_an_unknown_scope_is_passed_over() -> None:
    async def never(*arguments: Any) -> Any:
        raise AssertionError(arguments)

    await http_and_websocket.application({"type": "unknown"}, never, never)


async def test_the_concurrency_model(serve: Serve) -> None:
    """Two handlers with a broadcast as the chapter walks them through, in its own words."""
    trace: list[str] = []
    waiting = asyncio.Queue[str]()
    sends: dict[str, Send] = {}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["query_string"].decode()
        coroutine = {"1": "A", "2": "B"}[client]
        await receive()
        await send({"type": "websocket.accept"})
        sends[client] = send
        waiting.put_nowait(f'coroutine {coroutine} (client {client}): waiting at "await receive()"')
        while (event := await receive())["type"] == "websocket.receive":
            trace.append(f"coroutine {coroutine} wakes up")
            await broadcast(event["text"], exclude=client)
            trace.append(f'coroutine {coroutine} goes back to "await receive()"')

    async def broadcast(text: str, exclude: str) -> None:
        trace.append("calls broadcast()")
        for client, send in sends.items():
            if client != exclude:
                trace.append(f"await client_{client}_send(...)  # sends to client {client}")
                await send({"type": "websocket.send", "text": text})

    async with (
        serve(application) as server,
        connect_client(server.url("ws", "/?1")) as one,
        connect_client(server.url("ws", "/?2")) as two,
    ):
        told = ["event loop:", *[await waiting.get() for _ in range(2)]]
        for number, sender, other in ((1, one, two), (2, two, one)):
            await sender.send("hi")
            assert await asyncio.wait_for(other.recv(), 5) == "hi"
            told += [f"Client {number} sends a message:", *(f"→ {line}" for line in trace)]
            trace.clear()
    lines = text_of("concurrency_model.txt").splitlines()
    assert told == [line.strip() for line in lines if line]


# ---- frameworks -----------------------------------------------------------------------------


async def test_starlette(connect: Connect) -> None:
    from starlette.applications import Starlette

    from longwire import WebSocketRoute

    app = Starlette(routes=[WebSocketRoute("/ws", starlette_echo.websocket_endpoint)])
    async with connect(app) as client:
        async with client.websocket_connect("/ws") as websocket:
            await websocket.send_text("hi")
            assert await websocket.receive_text() == "Echo: hi"


async def test_fastapi(connect: Connect) -> None:
    async with connect(fastapi_hello.app) as client:
        async with client.websocket_connect("/ws") as websocket:
            assert await websocket.receive_text() == "Connected!"
            assert (await websocket.receive())["code"] == 1000
