"""The examples through the real server, with the `websockets` package as the client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from examples import binary_echo, chat, echo, http_and_websocket, reject
from examples.demo import app as demo
from tests.conftest import Serve

pytestmark = pytest.mark.anyio


async def receive_json(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), 5))


async def test_echo(serve: Serve) -> None:
    async with serve(echo.app) as server, connect(server.url("ws")) as client:
        for message in ("hello", "", b"\x00\xff", b"", "héllo"):
            await client.send(message)
            assert await client.recv() == message


async def test_binary_echo(serve: Serve) -> None:
    async with serve(binary_echo.app) as server, connect(server.url("ws")) as client:
        for message, answer in ((b"\x00\x01", b"\x00\x01"), ("é", b"\xc3\xa9"), (b"", b"")):
            await client.send(message)
            assert await client.recv() == answer


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_valid_token_is_let_in(serve: Serve, way: str) -> None:
    headers = {"Authorization": "Bearer valid-token"} if way == "header" else {}
    path = "/" if way == "header" else "/?token=valid-token"
    async with (
        serve(reject.app) as server,
        connect(server.url("ws", path), additional_headers=headers) as client,
    ):
        assert await client.recv() == "welcome"


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/?token=valid-toke", "/?token=%C3%A9"])
async def test_a_bad_token_is_401(serve: Serve, path: str) -> None:
    async with serve(reject.app) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(server.url("ws", path))
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.headers["www-authenticate"] == "Bearer"


async def test_a_bad_token_by_close_code(serve: Serve) -> None:
    async with serve(reject.app) as server, connect(server.url("ws", "/?refuse=close")) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4001, "bad token")


async def test_chat_rooms_are_separate_and_clean_up(serve: Serve) -> None:
    async with (
        serve(chat.app) as server,
        connect(server.url("ws", "/?room=blue%20room")) as one,
        connect(server.url("ws", "/?room=red")) as other,
    ):
        async with connect(server.url("ws", "/?room=blue%20room")) as two:
            assert (await receive_json(one))["message"] == "A user joined #blue room"
            await two.send(json.dumps({"text": "hi"}))
            assert (await receive_json(one))["text"] == "hi"
            assert (await receive_json(two))["text"] == "hi"
            await two.send("")
            assert (await receive_json(one))["text"] == ""
        assert (await receive_json(one))["message"] == "A user left #blue room"
        await other.send("only me")
        assert (await receive_json(other))["text"] == "only me"
    assert not chat.rooms._members


async def test_chat_one_member_that_does_not_read_stops_nobody(serve: Serve) -> None:
    from tests.wire import websocket

    async with (
        serve(chat.app, ws_send_buffer=1024) as server,
        websocket(server, "/?room=r", receive_buffer=4096),
        connect(server.url("ws", "/?room=r")) as two,
    ):
        for number in range(600):
            await two.send(json.dumps({"text": f"{number} " + "x" * 4000}))
            assert (await receive_json(two))["text"].startswith(f"{number} ")


async def test_http_and_websocket_on_one_port(serve: Serve) -> None:
    import httpx

    async with (
        serve(http_and_websocket.app, lifespan="on") as server,
        httpx.AsyncClient(base_url=server.url("http", "")) as http,
        connect(server.url("ws", "/ws/echo")) as client,
    ):
        assert "<title>Echo</title>" in (await http.get("/")).text
        assert (await http.get("/nowhere")).status_code == 404
        await client.send("hello")
        assert await client.recv() == "hello"
        with pytest.raises(InvalidStatus) as refusal:
            await connect(server.url("ws", "/ws/nowhere"))
        assert refusal.value.response.status_code == 404


# ---- the demo -------------------------------------------------------------------------------


async def joined(client: ClientConnection, name: str, room: str = "r") -> str:
    await client.send(json.dumps({"type": "join", "name": name, "room": room}))
    message = await receive_json(client)
    assert message["type"] == "you"
    return str(message["name"])


async def test_demo_two_of_a_name(serve: Serve) -> None:
    async with (
        serve(demo.app) as server,
        connect(server.url("ws", "/ws")) as one,
        connect(server.url("ws", "/ws")) as two,
    ):
        assert await joined(one, "Ada") == "Ada"
        assert await joined(two, "Ada") == "Ada 2"
        assert (await receive_json(two))["people"] == ["Ada", "Ada 2"]


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        '{"type": "say", "text": "not joined"}',
        '{"type": "join", "name": "", "room": "r"}',
        '{"type": "join", "name": 5, "room": "r"}',
        '{"type": "join", "name": "%s", "room": "r"}' % ("x" * 25),
        b"\x00",
    ],
)
async def test_demo_refuses_what_is_not_its_protocol(serve: Serve, message: str | bytes) -> None:
    async with serve(demo.app) as server, connect(server.url("ws", "/ws")) as client:
        await client.send(message)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1003
        assert client.close_reason


async def test_demo_checks_the_origin(serve: Serve) -> None:
    async with serve(demo.app) as server:
        for origin in ("http://evil.example", "null", "http://["):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(server.url("ws", "/ws"), additional_headers={"Origin": origin})
            assert refusal.value.response.status_code == 403
        async with connect(
            server.url("ws", "/ws"), additional_headers={"Origin": server.url("http", "")}
        ) as client:
            await joined(client, "Ada")


async def test_demo_pages(serve: Serve) -> None:
    import httpx

    async with (
        serve(demo.app) as server,
        httpx.AsyncClient(base_url=server.url("http", "")) as http,
    ):
        page = await http.get("/")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await http.get("/chat.js")).headers["content-type"].startswith("text/javascript")
        head = await http.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(page.content))
        assert (await http.get("/../app.py")).status_code == 404
        assert (await http.post("/")).status_code == 405
