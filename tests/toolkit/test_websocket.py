"""The WebSocket class over our own server and a real client, and against starlette's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import starlette.websockets
from starlette.responses import PlainTextResponse, StreamingResponse

from longwire import ClosedBy, Closure, ConnectionClosed, WebSocket, WebSocketDisconnect
from longwire.asgi import ASGIApp, Receive, Scope, Send
from longwire.toolkit import (
    InvalidJSON,
    InvalidMessage,
    MsgspecCodec,
    OrjsonCodec,
    StandardCodec,
    UnexpectedMessage,
    WebSocketDisconnected,
    WebSocketState,
)
from tests.conftest import Serve
from tests.waiting import stable
from tests.wire import BINARY, Ended, close, connect, frame, request, text, websocket

pytestmark = pytest.mark.anyio


def app_of(handler: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    """The bare class, without a route around it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await handler(WebSocket(scope, receive, send))

    return app


async def outcome(awaitable: Awaitable[Any]) -> str:
    """Return what a call returns, or the classes of what it raises."""
    try:
        return repr(await awaitable)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def test_text_bytes_and_json_both_ways(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(await ws.receive_text())
        await ws.send_bytes(await ws.receive_bytes())
        await ws.send_json(await ws.receive_json())
        await ws.send_json(await ws.receive_json("binary"), "binary")
        await ws.close(3001, "done")

    async with serve(app_of(handler)) as server, websocket(server) as client:
        await client.send(text(""))
        await client.send(frame(BINARY, b"\x00\xff"))
        await client.send(text('{"a": "é"}'))
        await client.send(frame(BINARY, b"[1, 2]"))
        assert [await client.message() for _ in range(4)] == [
            "",
            b"\x00\xff",
            '{"a":"é"}',
            b"[1,2]",
        ]
        await client.send(close(3001))
        assert await client.ended() == Ended(3001, "done")


@pytest.mark.parametrize("kind", ["text", "bytes", "json", "json binary"])
async def test_iteration_ends_quietly(serve: Serve, kind: str) -> None:
    got: list[Any] = []
    ended = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        iterators: dict[str, Callable[[], AsyncIterator[Any]]] = {
            "text": ws.iter_text,
            "bytes": ws.iter_bytes,
            "json": ws.iter_json,
            "json binary": lambda: ws.iter_json(mode="binary"),
        }
        async for message in iterators[kind]():
            got.append(message)
        ended.set()

    async with serve(app_of(handler)) as server, websocket(server) as client:
        for _ in range(2):
            await client.send(text("1") if kind in ("text", "json") else frame(BINARY, b"1"))
        await client.send(close())
        await asyncio.wait_for(ended.wait(), 5)
    assert got == {"text": ["1", "1"], "bytes": [b"1", b"1"]}.get(kind, [1, 1])


# ---- the other side is gone -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["starlette", "longwire", "OSError"])
@pytest.mark.parametrize("direction", ["receive", "send"])
async def test_one_family_for_both_directions(serve: Serve, direction: str, kind: str) -> None:
    family: Any = {
        "starlette": starlette.websockets.WebSocketDisconnect,
        "longwire": WebSocketDisconnect,
        "OSError": ConnectionClosed,
    }[kind]
    caught: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                if direction == "receive":
                    await ws.receive_text()
                else:
                    await ws.send_text("x" * 1000)
                    await asyncio.sleep(0.001)
        except family as error:
            caught.put_nowait(error)

    async with serve(app_of(handler)) as server, websocket(server) as client:
        client.reset()
        error = await asyncio.wait_for(caught.get(), 5)
    assert (error.code, type(error.reason)) == (1006, str)


async def test_after_the_end_every_call_says_so_and_close_does_nothing(serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        told.put_nowait(await ws.receive())
        for call in (ws.receive, ws.receive_text, ws.receive_json, lambda: ws.send_text("x")):
            with pytest.raises(WebSocketDisconnected) as caught:
                await call()
            assert isinstance(caught.value, starlette.websockets.WebSocketDisconnected)
            assert isinstance(caught.value, RuntimeError)
            assert (caught.value.code, caught.value.reason) == (3001, "bye")
        await ws.close()
        await ws.close(4000)
        told.put_nowait((ws.client_state, ws.closed.is_set(), await ws.closed))

    async with serve(app_of(handler)) as server, websocket(server) as client:
        await client.send(close(3001, b"bye"))
        assert (await asyncio.wait_for(told.get(), 5))["type"] == "websocket.disconnect"
        assert await asyncio.wait_for(told.get(), 5) == (
            WebSocketState.DISCONNECTED, True, Closure(3001, "bye", ClosedBy.CLIENT),
        )  # fmt: skip


async def test_after_its_own_close_the_application_is_told_its_own_code(serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4002, "enough")
        told.put_nowait(await outcome(ws.send_text("x")))
        told.put_nowait(await outcome(ws.receive_text()))
        told.put_nowait(await ws.closed)

    async with serve(app_of(handler)) as server, websocket(server) as client:
        assert await client.close_frame() == Ended(4002, "enough")
        said = "WebSocketDisconnected: connection closed with code 4002: enough"
        assert [await asyncio.wait_for(told.get(), 5) for _ in range(3)] == [
            said, said, Closure(4002, "enough", ClosedBy.APPLICATION),
        ]  # fmt: skip


# ---- closed and going_away ------------------------------------------------------------------


async def test_closed_is_noticed_while_nobody_receives_and_no_message_is_lost(serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        told.put_nowait(await ws.closed)
        told.put_nowait([message async for message in ws.iter_text()])

    async with serve(app_of(handler)) as server, websocket(server) as client:
        for number in range(20):
            await client.send(text(str(number)))
        await client.send(close(4000, b"off"))
        assert await asyncio.wait_for(told.get(), 5) == Closure(4000, "off", ClosedBy.CLIENT)
        assert await asyncio.wait_for(told.get(), 5) == [str(number) for number in range(20)]


async def test_closed_beside_a_receiver(serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        closed = asyncio.ensure_future(ws.closed)
        async for message in ws.iter_text():
            await ws.send_text(message)
        told.put_nowait(await closed)

    async with serve(app_of(handler)) as server, websocket(server) as client:
        for number in range(5):
            await client.send(text(str(number)))
            assert await client.message() == str(number)
        client.reset()
        closure = await asyncio.wait_for(told.get(), 5)
        assert (closure.code, closure.by) == (1006, ClosedBy.NOBODY)


async def test_a_flood_while_only_the_end_is_awaited_stops_reading(serve: Serve) -> None:
    """What is read ahead is bounded: behind it the server's own flow control holds."""
    sizes: list[int] = []
    accepted, has_come = asyncio.Event(), asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        ending = asyncio.ensure_future(ws.closed)
        accepted.set()
        await has_come.wait()
        assert ws._ahead is not None
        messages = ws._ahead._messages
        sizes.append(await stable(lambda: len(messages)))
        ending.cancel()

    async with serve(app_of(handler)) as server, websocket(server) as client:
        await accepted.wait()
        await client.send(text("x") * 1000)
        has_come.set()
        assert await client.close_frame() == Ended(1000)
    assert sizes == [32]


async def test_going_away_is_told_while_the_socket_is_open(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert not ws.going_away.is_set()
        await ws.send_text("ready")
        await ws.going_away
        await ws.send_text("goodbye")
        await ws.receive()

    async with serve(app_of(handler)) as server, websocket(server) as client:
        assert await client.message() == "ready"
        ending = asyncio.create_task(server.server.finish())
        assert await client.message() == "goodbye"
        assert (await client.close_frame()).code == 1012
        await client.send(close(1012))
        await ending


# ---- cancelling -----------------------------------------------------------------------------


async def test_a_receive_that_is_cancelled_loses_no_message(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        count = 0
        while count < 200:
            try:
                async with asyncio.timeout(0.0005):
                    number = await ws.receive_json()
            except TimeoutError:
                continue
            assert number == count
            count += 1
        await ws.send_text("all")

    async with serve(app_of(handler)) as server, websocket(server) as client:
        for number in range(200):
            await client.send(text(str(number)))
            await asyncio.sleep(0.0005 if number % 7 else 0.001)
        assert await client.message() == "all"


async def test_wait_for_around_receive_json(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.receive_json(), 0.05)
        await ws.send_text("now")
        await ws.send_json(await asyncio.wait_for(ws.receive_json(), 5))

    async with serve(app_of(handler)) as server, websocket(server) as client:
        assert await client.message() == "now"
        await client.send(text("[1]"))
        assert await client.message() == "[1]"


# ---- the wrong order, the wrong type --------------------------------------------------------


async def test_wrong_calls_say_what_was_expected(serve: Serve) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        calls: list[tuple[Callable[[], Awaitable[Any]], str]] = [
            (ws.receive_text, "LifecycleError: receive before accept(): `await websocket"),
            (lambda: ws.send_text("x"), "LifecycleError: send before accept()"),
            (lambda: ws.accept("chat"), "LifecycleError: the client did not offer the subprotocol"),
            (ws.accept, "None"),
            (ws.accept, "LifecycleError: the application sent 'websocket.accept' while"),
            (lambda: ws.send_text(b"x"), "TypeError: send_text() sends a str; got bytes"),  # type: ignore[arg-type]
            (lambda: ws.send_bytes("x"), "TypeError: send_bytes() sends bytes; got str"),  # type: ignore[arg-type]
            (lambda: ws.receive_json("xml"), 'LifecycleError: mode is "text" or "binary"; got'),
            (lambda: ws.send_json(1, "xml"), 'LifecycleError: mode is "text" or "binary"; got'),
            (lambda: ws.send_json(object()), "TypeError: Object of type object is not JSON"),
            (lambda: ws.close("1000"), "TypeError: a close code is an int; got str"),  # type: ignore[arg-type]
            (lambda: ws.close(1000, b"x"), "TypeError: a close reason is a str; got bytes"),  # type: ignore[arg-type]
            (lambda: ws.close(1005), "LocalProtocolError"),
            (lambda: ws.send_denial_response(PlainTextResponse("x")), "LifecycleError: the app"),
        ]  # fmt: skip
        for call, expected in calls:
            got = await outcome(call())
            if not got.startswith(expected):
                told.put_nowait(f"expected {expected!r}, got {got!r}")
        told.put_nowait("checked")

    async with serve(app_of(handler)) as server, websocket(server):
        assert await asyncio.wait_for(told.get(), 5) == "checked"


async def test_a_message_of_the_wrong_kind_leaves_the_connection_open(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for receive in (ws.receive_text, ws.receive_bytes, ws.receive_json):
            with pytest.raises(UnexpectedMessage) as caught:
                await receive()
            assert isinstance(caught.value, RuntimeError)
            assert isinstance(caught.value, KeyError)
            await ws.send_text(str(caught.value))

    async with serve(app_of(handler)) as server, websocket(server) as client:
        await client.send(frame(BINARY, b"abc"))
        assert await client.message() == (
            "expected a text message, got a binary one of 3 bytes; receive_bytes() receives those"
        )
        await client.send(text("abc"))
        assert await client.message() == (
            "expected a binary message, got a text one of 3 characters; "
            "receive_text() receives those"
        )
        await client.send(frame(BINARY, b"{}"))
        assert "expected a text message" in str(await client.message())


BAD_JSON = ["", "{", '{"a": }', "nul", "[" * 100_000, "\x00", '"' + "x" * 500]


@pytest.mark.parametrize("codec", [StandardCodec(), OrjsonCodec(), MsgspecCodec()], ids=type)
@pytest.mark.parametrize("data", BAD_JSON, ids=lambda data: data[:8])
async def test_bad_json_is_a_value_error_that_shows_little(codec: Any, data: str) -> None:
    for form in (data, data.encode()):
        with pytest.raises(InvalidJSON) as caught:
            codec.decode(form, Any)
        assert isinstance(caught.value, json.JSONDecodeError)
        assert len(str(caught.value)) < 250
        assert str(caught.value).startswith("expected JSON, got ")


@pytest.mark.parametrize("codec", [StandardCodec(), OrjsonCodec(), MsgspecCodec()], ids=type)
async def test_codecs_agree(codec: Any) -> None:
    value = {"a": [1, 2.5, None, True, "é😀"], "b": {}}
    assert codec.encode(value) == '{"a":[1,2.5,null,true,"é😀"],"b":{}}'
    assert codec.decode(codec.encode(value), Any) == value
    assert codec.decode(codec.encode(value).encode(), Any) == value
    with pytest.raises(InvalidJSON):
        codec.decode(b"\xff", Any)


async def test_a_value_of_another_type_is_told(serve: Serve) -> None:
    import msgspec

    class Move(msgspec.Struct):
        x: int

    class Fast(WebSocket):
        codec = MsgspecCodec()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ws = Fast(scope, receive, send)
        await ws.accept()
        with pytest.raises(InvalidMessage) as caught:
            await ws.receive_json(type=Move)
        await ws.send_text(str(caught.value))
        move = await ws.receive_json(type=Move)
        await ws.send_json({"x": move.x + 1})

    async with serve(app) as server, websocket(server) as client:
        await client.send(text('{"x": "1"}'))
        assert 'expected Move, got \'{"x": "1"}\': Expected `int`' in str(await client.message())
        await client.send(text('{"x": 1}'))
        assert await client.message() == '{"x":2}'


async def test_a_codec_that_validates_nothing_says_so() -> None:
    with pytest.raises(TypeError, match="choose MsgspecCodec"):
        StandardCodec().decode("1", int)


# ---- the handshake --------------------------------------------------------------------------


async def test_accept_with_headers_and_a_subprotocol(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        assert ws.subprotocols == ["chat", "news"]
        assert ws.negotiate(["news", "chat"]) == "chat"
        await ws.accept("news", headers=[(b"X-Is", b"here")])

    async with serve(app_of(handler)) as server, connect(server) as client:
        await client.send(request(headers={"Sec-WebSocket-Protocol": "chat, news"}))
        response = await client.response()
        assert response.headers["sec-websocket-protocol"] == "news"
        assert response.headers["x-is"] == "here"


async def test_close_before_accept_is_403(serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.close(4001)
        told.put_nowait((ws.application_state, await ws.closed))

    async with serve(app_of(handler)) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 403
        state, closure = await asyncio.wait_for(told.get(), 5)
        assert state is WebSocketState.DISCONNECTED
        assert (closure.code, closure.by) == (1006, ClosedBy.APPLICATION)


async def streamed() -> Any:
    yield b"one "
    yield b"two"


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (lambda: PlainTextResponse("go away", 429, {"Retry-After": "3"}), b"go away"),
        (lambda: StreamingResponse(streamed(), 429, {"Retry-After": "3"}), b"one two"),
    ],
    ids=["plain", "streamed"],
)
async def test_denial_response(serve: Serve, response: Any, body: bytes) -> None:
    states: list[WebSocketState] = []

    async def handler(ws: WebSocket) -> None:
        await ws.receive()
        await ws.send_denial_response(response())
        states.append(ws.application_state)

    async with serve(app_of(handler)) as server, connect(server) as client:
        await client.send(request())
        answer = await client.response()
        assert (answer.status, answer.body) == (429, body)
        assert answer.headers["retry-after"] == "3"
    assert states == [WebSocketState.DISCONNECTED]


async def test_states_are_starlettes(serve: Serve) -> None:
    states: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        def note() -> None:
            states.append((ws.client_state.name, ws.application_state.name))

        note()
        await ws.receive()
        note()
        await ws.accept()
        note()
        await ws.receive()
        note()

    assert WebSocketState is starlette.websockets.WebSocketState
    async with serve(app_of(handler)) as server, websocket(server) as client:
        await client.send(close())
        await client.ended()
    assert states == [
        ("CONNECTING", "CONNECTING"),
        ("CONNECTED", "CONNECTING"),
        ("CONNECTED", "CONNECTED"),
        ("DISCONNECTED", "CONNECTED"),
    ]


async def test_what_comes_from_the_request(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        ws.state.seen = True
        await ws.send_json(
            [
                ws.url.path,
                ws.query_params["a"],
                ws.cookies,
                ws.headers["x-y"],
                ws.client is not None,
            ]
        )

    async with serve(app_of(handler)) as server:
        async with websocket(server, "/p/q?a=1", headers={"Cookie": "k=v", "X-Y": "z"}) as client:
            assert await client.message() == '["/p/q","1",{"k":"v"},"z",true]'


@pytest.mark.parametrize("by", list(ClosedBy))
async def test_who_ended_it(serve: Serve, by: ClosedBy) -> None:
    told: asyncio.Queue[Closure] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("ready")
        if by is ClosedBy.APPLICATION:
            await ws.close(1012)
        told.put_nowait(await ws.closed)

    async with serve(app_of(handler)) as server, websocket(server) as client:
        assert await client.message() == "ready"
        if by is ClosedBy.CLIENT:
            await client.send(close(1012))
        elif by is ClosedBy.NOBODY:
            client.reset()
        elif by is ClosedBy.SERVER:
            ending = asyncio.create_task(server.server.finish())
            await client.close_frame()
            await client.send(close(1012))
            await ending
        closure = await asyncio.wait_for(told.get(), 5)
    assert closure.by is by
    assert closure.code == (1006 if by is ClosedBy.NOBODY else 1012)


# ---- found by review ------------------------------------------------------------------------


async def test_nothing_is_sent_once_the_end_was_noticed(serve: Serve) -> None:
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        closure = await ws.closed
        await ws.close()
        told.put_nowait((closure.code, await outcome(ws.send_text("x"))))

    async with serve(app_of(handler)) as server, websocket(server) as client:
        await client.send(close(3001, b"bye"))
        assert await asyncio.wait_for(told.get(), 5) == (
            3001, "WebSocketDisconnected: connection closed with code 3001: bye",
        )  # fmt: skip


async def test_a_receive_under_way_when_the_end_is_first_awaited(serve: Serve) -> None:
    """A server is asked for one message at a time: not all of them can do more."""
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = False

        async def once_at_a_time() -> Any:
            nonlocal is_asked
            assert not is_asked
            is_asked = True
            try:
                return await receive()
            finally:
                is_asked = False

        ws = WebSocket(scope, once_at_a_time, send)
        await ws.accept()
        receiving = asyncio.ensure_future(ws.receive_text())
        await asyncio.sleep(0)
        ending = asyncio.ensure_future(ws.closed)
        await asyncio.sleep(0)
        await ws.send_text("ready")
        told.put_nowait([await receiving, (await ending).code, await ws.receive_text()])

    async with serve(app) as server, websocket(server) as client:
        assert await client.message() == "ready"
        await client.send(text("one") + text("two") + close(3001))
        assert await asyncio.wait_for(told.get(), 5) == ["one", 3001, "two"]


async def test_awaiting_the_end_leaves_no_task_behind(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("ready")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.closed.wait(), 0.2)

    before = asyncio.all_tasks()
    async with serve(app_of(handler)) as server:
        async with websocket(server) as client:
            assert await client.message() == "ready"
            await client.send(text("x") * 60)  # more than is read ahead
            assert (await client.close_frame()).code == 1000
            await client.send(close())
        async with asyncio.timeout(5):
            while asyncio.all_tasks() != before:
                await asyncio.sleep(0.01)


async def test_what_a_server_would_put_on_the_wire_as_it_is_is_checked_here() -> None:
    """Other servers send any code and any header, or fail at a long reason."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    ws = WebSocket({"type": "websocket", "subprotocols": [], "headers": []}, receive, send)
    for header in ((b"X-Evil", b"a\r\nSet-Cookie: b"), (b"sec-websocket-accept", b"x"), (b"", b"")):
        with pytest.raises(ValueError, match="header"):
            await ws.accept(headers=[header])
    await ws.accept()
    for code in (999, 1005, 1006, 1015, 2000, 5000):
        with pytest.raises(ValueError, match="may not be sent"):
            await ws.close(code)
    await ws.close(1003, "é" * 100)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[-1]["reason"] == "é" * 61
