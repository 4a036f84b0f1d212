"""The examples through the real server, with the `websockets` package as the client."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from examples import binary_echo, chat, echo, http_and_websocket, reject
from examples.demo.app import app as demo_app
from examples.demo.editor import STORE
from tests.conftest import Serve, Served

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
    assert chat.hub.counts().rooms == 0


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

Message = dict[str, Any]


@pytest.fixture
def demo(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AbstractAsyncContextManager[Served]:
    """The demo, served; its lifespan makes the hub, and opens the store."""
    monkeypatch.setenv(STORE, str(tmp_path / "documents.sqlite"))
    return serve(demo_app, lifespan="on")


async def until(client: ClientConnection, kind: str) -> list[Message]:
    """Return the messages up to the next of this kind."""
    messages: list[Message] = []
    while not messages or messages[-1]["type"] != kind:
        messages.append(await receive_json(client))
    return messages


async def join(client: ClientConnection, name: str, **more: str) -> list[Message]:
    await client.send(json.dumps({"type": "join", "name": name, "room": "r", **more}))
    return await until(client, "here")


async def say(client: ClientConnection, *texts: str) -> None:
    for text in texts:
        await client.send(json.dumps({"type": "say", "text": text, "ref": text}))


def texts(messages: list[Message]) -> list[str]:
    return [message["text"] for message in messages if message["type"] == "said"]


def only(messages: list[Message], kind: str) -> Message:
    [message] = [message for message in messages if message["type"] == kind]
    return message


async def test_demo_two_of_a_name(demo: AbstractAsyncContextManager[Served]) -> None:
    async with (
        demo as server,
        connect(server.url("ws", "/ws/chat")) as one,
        connect(server.url("ws", "/ws/chat")) as two,
        connect(server.url("ws", "/ws/chat")) as again,
    ):
        assert only(await join(one, "Ada", me="secret"), "you")["name"] == "Ada"
        second = await join(two, "Ada", me="another")
        assert only(second, "you")["name"] == "Ada 2"
        assert {person["name"] for person in second[-1]["people"]} == {"Ada", "Ada 2"}
        # The first one returns before the server has noticed that its connection is lost.
        assert only(await join(again, "Ada", me="secret"), "you")["name"] == "Ada"


async def test_demo_resumes_where_it_was(demo: AbstractAsyncContextManager[Served]) -> None:
    async with demo as server, connect(server.url("ws", "/ws/chat")) as ada:
        await join(ada, "Ada")
        async with connect(server.url("ws", "/ws/chat")) as bob:
            await join(bob, "Bob")
            await say(ada, "one")
            position = (await until(bob, "said"))[-1]["position"]
        await say(ada, "two", "three")
        assert texts(await until(ada, "left")) == ["one"]
        assert texts([*await until(ada, "said"), *await until(ada, "said")]) == ["two", "three"]
        async with connect(server.url("ws", "/ws/chat")) as bob:
            returned = await join(bob, "Bob", since=position)
            assert only(returned, "history") == {"type": "history", "is_whole": True, "count": 2}
            assert texts(returned) == ["two", "three"]
        async with connect(server.url("ws", "/ws/chat")) as carol:
            assert texts(await join(carol, "Carol")) == ["one", "two", "three"]
        async with connect(server.url("ws", "/ws/chat")) as stranger:
            returned = await join(stranger, "Dora", since="17:other")  # of a server that is gone
            assert not only(returned, "history")["is_whole"]
            assert texts(returned) == ["one", "two", "three"]


async def test_demo_who_types_is_told_to_the_others(
    demo: AbstractAsyncContextManager[Served],
) -> None:
    async with (
        demo as server,
        connect(server.url("ws", "/ws/chat")) as ada,
        connect(server.url("ws", "/ws/chat")) as bob,
    ):
        await join(ada, "Ada")
        await join(bob, "Bob")
        await bob.send('{"type": "typing"}')
        assert (await until(ada, "typing"))[-1] == {"type": "typing", "name": "Bob"}
        await say(bob, "done")
        assert [message["type"] for message in await until(bob, "said")] == ["said"]


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        '{"type": "say", "text": "not joined"}',
        '{"type": "join", "name": "", "room": "r"}',
        '{"type": "join", "name": 5, "room": "r"}',
        '{"type": "join", "name": "%s", "room": "r"}' % ("x" * 25),
        '{"type": "join", "name": "Ada", "room": "\\u0007"}',
        '{"type": "join", "name": "Ada", "room": "r", "since": "yesterday"}',
        '{"type": "join", "name": "Ada", "room": "r", "me": "a b"}',
        b"\x00",
    ],
)
async def test_demo_refuses_what_is_not_its_protocol(
    demo: AbstractAsyncContextManager[Served], message: str | bytes
) -> None:
    async with demo as server, connect(server.url("ws", "/ws/chat")) as client:
        await client.send(message)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1003
        assert client.close_reason


async def test_demo_checks_the_origin(demo: AbstractAsyncContextManager[Served]) -> None:
    async with demo as server:
        url = server.url("ws", "/ws/chat")
        for origin in ("http://evil.example", "null", "http://["):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(url, additional_headers={"Origin": origin})
            assert refusal.value.response.status_code == 403
        async with connect(url, additional_headers={"Origin": server.url("http", "")}) as client:
            await join(client, "Ada")


async def test_demo_dashboard(demo: AbstractAsyncContextManager[Served]) -> None:
    async with (
        demo as server,
        connect(server.url("ws", "/ws/chat")) as chat,
        connect(server.url("ws", "/ws/dashboard")) as client,
    ):
        first = await receive_json(client)
        await join(chat, "Ada")
        await say(chat, "hello")
        await until(chat, "said")
        told = [first, await receive_json(client)]
        while told[-1]["delivered"] < first["delivered"] + 5 and len(told) < 9:
            told.append(await receive_json(client))  # that one was counted in the middle of it
    before, second = told[-2:]
    assert (first["websockets"], second["websockets"]) == (2, 2)
    assert second["received"] - first["received"] == 2
    # The history, who she is, who is here, that she joined, and what she said.
    assert second["delivered"] - first["delivered"] == 5
    assert (second["rooms"], second["members"], second["dropped"]) == (2, 1, 0)
    assert 10**7 < second["memory"] < 10**9
    assert second["at"] - before["at"] > 0.5  # once a second, and not all the time


async def test_demo_inspector(demo: AbstractAsyncContextManager[Served]) -> None:
    async with (
        demo as server,
        connect(server.url("ws", "/ws/echo")) as echoing,
        connect(server.url("ws", "/ws/commands")) as client,
    ):
        for message in ("", "hello", b"", b"\x00"):
            await echoing.send(message)
            assert await echoing.recv() == message
        await client.send('{"do": "echo", "value": [1]}')
        assert await receive_json(client) == {"value": [1]}
        for command in ('{"do": "close", "code": 1006, "reason": ""}', "{}", "[]", '{"do": "x"}'):
            await client.send(command)
            assert "error" in await receive_json(client)
        await client.send('{"do": "close", "code": 4001, "reason": "as you like"}')
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4001, "as you like")


async def test_demo_pages(demo: AbstractAsyncContextManager[Served]) -> None:
    import httpx

    async with demo as server, httpx.AsyncClient(base_url=server.url("http", "")) as http:
        page = await http.get("/")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert (await http.get("/")).headers["content-security-policy"] != page.headers[
            "content-security-policy"
        ]  # another nonce each time
        assert (await http.get("/chat.js")).headers["content-type"].startswith("text/javascript")
        head = await http.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(page.content))
        assert (await http.get("/../app.py")).status_code == 404
        assert (await http.post("/")).status_code == 405
