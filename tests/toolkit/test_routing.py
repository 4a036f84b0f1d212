"""Routes, endpoint classes and subprotocol handlers, inside Starlette and alone."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.routing import Mount, Router

from longwire import (
    Subprotocols,
    WebSocket,
    WebSocketClose,
    WebSocketDisconnect,
    WebSocketEndpoint,
    WebSocketRoute,
    websocket_app,
)
from longwire.asgi import ASGIApp, Receive, Scope, Send
from longwire.errors import ConfigError
from longwire.toolkit import OrjsonCodec, Token, from_first_message, one_of
from longwire.toolkit.testing import AsyncTestClient, Denied
from tests.conftest import Serve
from tests.server.test_behaviour import error_records
from tests.wire import BINARY, Ended, close, connect, frame, request, text, websocket

pytestmark = pytest.mark.anyio


async def where(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json({"path": ws.url.path, "params": ws.path_params})


async def first(app: ASGIApp, url: str, **options: Any) -> Any:
    """Return the first message of a connection, as JSON."""
    async with AsyncTestClient(app).websocket_connect(url, **options) as ws:
        return await ws.receive_json()


# ---- routes ---------------------------------------------------------------------------------


async def test_path_convertors_and_reverse_urls() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(
            [ws.path_params, str(ws.url_for("room", room_id=7, user_id=2)), ws.app is app]
        )

    app = Starlette(
        routes=[
            WebSocketRoute("/ws/user/{user_id:int}", handler),
            WebSocketRoute("/ws/room/{room_id:int}/user/{user_id:int}", handler, name="room"),
        ]
    )
    expected = "ws://testserver/ws/room/7/user/2"
    assert await first(app, "/ws/user/5") == [{"user_id": 5}, expected, True]
    assert await first(app, "/ws/room/1/user/5") == [{"room_id": 1, "user_id": 5}, expected, True]
    with pytest.raises(Denied):
        await first(app, "/ws/user/five")


@pytest.mark.parametrize(
    "app",
    [
        Starlette(routes=[WebSocketRoute("/a/{x}", where)]),
        Router(routes=[WebSocketRoute("/a/{x}", where)]),
        Starlette(routes=[Mount("/a", routes=[WebSocketRoute("/{x}", where)])]),
        WebSocketRoute("/a/{x}", where),
    ],
    ids=["starlette", "router", "mount", "alone"],
)
async def test_a_route_stands_anywhere(app: ASGIApp) -> None:
    assert await first(app, "/a/b") == {"path": "/a/b", "params": {"x": "b"}}
    with pytest.raises(Denied) as caught:
        await first(app, "/other")
    assert caught.value.status_code == 403


async def test_what_may_be_a_handler() -> None:
    class Chat:
        async def method(self, ws: WebSocket) -> None:
            await where(ws)

    async def with_argument(word: str, ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(word)

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await where(WebSocket(scope, receive, send))

    class Callable:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await asgi(scope, receive, send)

    here = {"path": "/", "params": {}}
    assert await first(websocket_app(where), "/") == here
    assert await first(websocket_app(Chat().method), "/") == here
    assert await first(websocket_app(functools.partial(with_argument, "hi")), "/") == "hi"
    assert await first(websocket_app(Callable()), "/") == here


async def test_middleware_of_a_route() -> None:
    class Marked:
        def __init__(self, app: ASGIApp, mark: str) -> None:
            self.app, self.mark = app, mark

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            scope["path_params"] = {**scope.get("path_params", {}), "mark": self.mark}
            await self.app(scope, receive, send)

    route = WebSocketRoute("/", where, middleware=[Middleware(Marked, mark="seen")])
    assert (await first(route, "/"))["params"] == {"mark": "seen"}


async def test_a_handler_whose_client_leaves_needs_no_except(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.send_text(await ws.receive_text())

    app = Starlette(routes=[WebSocketRoute("/", handler)])
    async with serve(app) as server:
        for ending in (close(3000), close(None)):
            async with websocket(server) as client:
                await client.send(text("x") + ending)
                assert await client.message() == "x"
        async with websocket(server) as client:
            client.reset()
        await asyncio.wait_for(server.state.idle.wait(), 5)
    assert not error_records(caplog)


async def test_a_disconnect_of_another_websocket_is_an_error() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise WebSocketDisconnect(1006)  # of some other connection this one was talking to

    with pytest.raises(WebSocketDisconnect) as caught:
        async with AsyncTestClient(websocket_app(handler)).websocket_connect("/") as ws:
            await ws.receive_text()
    assert caught.value.code == 1006


@pytest.mark.parametrize("around", ["starlette", "nothing"])
async def test_exceptions_that_say_how_to_refuse(around: str, serve: Serve) -> None:
    async def refuses(ws: WebSocket) -> None:
        raise HTTPException(404, "no such room", {"X-Room": "none"})

    async def closes(ws: WebSocket) -> None:
        await ws.accept()
        raise WebSocketException(4004, "no such room")

    routes = [WebSocketRoute("/refuses", refuses), WebSocketRoute("/closes", closes)]
    app: ASGIApp = Starlette(routes=routes)
    if around == "nothing":
        app = Router(routes=routes)
    async with serve(app) as server:
        async with connect(server) as client:
            await client.send(request("/refuses"))
            response = await client.response()
            assert (response.status, response.body) == (404, b"no such room")
            assert response.headers["x-room"] == "none"
        async with websocket(server, "/closes") as client:
            assert await client.close_frame() == Ended(4004, "no such room")


async def test_route_options_reach_the_websocket(serve: Serve) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json({"x" * 300: type(ws._codec).__name__})

    deflate = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    offer = {**deflate, "Sec-WebSocket-Protocol": "b, c"}
    for compression, expected in ((True, True), (False, False)):
        route = WebSocketRoute(
            "/", handler, compression=compression, subprotocols=["c", "b"], codec=OrjsonCodec()
        )
        async with serve(route) as server, connect(server) as client:
            await client.send(request(headers=dict(offer)))
            response = await client.response()
            assert ("sec-websocket-extensions" in response.headers) is expected
            assert response.headers["sec-websocket-protocol"] == "b"
            if not compression:
                assert "OrjsonCodec" in str(await client.message())


async def test_websocket_close_as_an_endpoint() -> None:
    with pytest.raises(Denied) as caught:
        await first(websocket_app(WebSocketClose(4004, "gone")), "/")
    assert caught.value.status_code == 403


async def test_an_asgi_endpoint_behind_a_guard_that_accepted() -> None:
    class Echo(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_text(f"{websocket.user}: {data}")

    guard = Token(one_of(alice="sesame"), from_first_message())
    async with AsyncTestClient(websocket_app(Echo, guards=[guard])).websocket_connect("/") as ws:
        await ws.send_text("sesame")
        await ws.send_text("hi")
        assert await ws.receive_text() == "alice: hi"


# ---- endpoint classes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "sent", "expected"),
    [
        ("text", text("é"), "'é'"),
        ("text", frame(BINARY, b"x"), Ended(1003)),
        ("bytes", frame(BINARY, b"\xff"), "b'\\xff'"),
        ("bytes", text("x"), Ended(1003)),
        ("json", text('{"a":1}'), "{'a': 1}"),
        ("json", frame(BINARY, b"[1]"), "[1]"),
        ("json", text("{"), Ended(1003)),
        ("json", frame(BINARY, b"\xff"), Ended(1003)),
        (None, text(""), "''"),
        (None, frame(BINARY, b""), "b''"),
    ],
)
async def test_encodings(
    serve: Serve, caplog: pytest.LogCaptureFixture, encoding: Any, sent: bytes, expected: Any
) -> None:
    gone: list[int] = []

    class Echo(WebSocketEndpoint):
        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_text(repr(data))

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            gone.append(close_code)

    Echo.encoding = encoding
    async with serve(WebSocketRoute("/", Echo)) as server, websocket(server) as client:
        await client.send(sent)
        if isinstance(expected, str):
            assert await client.message() == expected
            await client.send(close(3003))
            await client.ended()
        else:
            ended = await client.close_frame()
            assert ended.code == expected.code
            assert ended.reason.startswith("expected ")
    assert gone == [3003 if isinstance(expected, str) else 1003]
    assert not error_records(caplog)


async def test_an_endpoint_that_raises_is_told_and_is_1011(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    gone: list[int] = []

    class Bad(WebSocketEndpoint):
        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            raise ZeroDivisionError

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            gone.append(close_code)

    async with serve(WebSocketRoute("/", Bad)) as server, websocket(server) as client:
        await client.send(text("x"))
        assert (await client.close_frame()).code == 1011
    assert gone == [1011]
    (record,) = error_records(caplog)
    assert record.levelno == logging.ERROR


async def test_an_unknown_encoding_is_an_error() -> None:
    class Odd(WebSocketEndpoint):
        encoding = "xml"  # type: ignore[assignment]

    with pytest.raises(ConfigError, match="encoding is one of"):
        await first(websocket_app(Odd), "/")


# ---- subprotocols ---------------------------------------------------------------------------


def spoken(has_default: bool) -> ASGIApp:
    protocols = Subprotocols()

    @protocols("chat", "chat.v2")
    async def chat(ws: WebSocket) -> None:
        await ws.send_json("chat")

    @protocols("news")
    async def news(ws: WebSocket) -> None:
        await ws.send_json("news")

    if has_default:

        @protocols.default
        async def plain(ws: WebSocket) -> None:
            await ws.send_json("plain")

    assert list(protocols.names) == ["chat", "chat.v2", "news"]
    return websocket_app(protocols.handle)


@pytest.mark.parametrize(
    ("offered", "chosen", "handler"),
    [
        (["news", "chat"], "news", "news"),
        (["other", "chat.v2", "news"], "chat.v2", "chat"),
        (["CHAT"], None, "plain"),
        ([], None, "plain"),
    ],
)
async def test_negotiation_is_in_the_clients_order(
    offered: list[str], chosen: str | None, handler: str
) -> None:
    async with AsyncTestClient(spoken(True)).websocket_connect("/", offered) as ws:
        assert await ws.receive_json() == handler
        assert ws.accepted_subprotocol == chosen
    if chosen is None:
        with pytest.raises(Denied) as caught:
            await first(spoken(False), "/", subprotocols=offered)
        assert caught.value.status_code == 400
        assert "chat, chat.v2, news are spoken here" in caught.value.text


async def test_mistakes_with_subprotocols() -> None:
    protocols = Subprotocols()
    protocols("chat")(where)
    with pytest.raises(ConfigError, match="'chat' has a handler already"):
        protocols("news", "chat")(where)
    with pytest.raises(TypeError, match="name the subprotocol"):
        protocols(where)  # type: ignore[arg-type]


async def test_a_routes_size_limit_refuses_before_the_message_is_here(serve: Serve) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async for message in ws.iter_text():
            heard.put_nowait(message)
        heard.put_nowait(await ws.closed)

    route = WebSocketRoute("/", handler, max_size=100)
    async with serve(route) as server, websocket(server) as client:
        await client.send(text("x" * 100))
        assert await asyncio.wait_for(heard.get(), 5) == "x" * 100
        await client.send(text("x" * 101)[:6])  # its header alone
        assert (await client.close_frame()).code == 1009
        closure = await asyncio.wait_for(heard.get(), 5)
        assert (closure.code, closure.by.value) == (1006, "server")


@pytest.mark.parametrize("size", [0, -1, "100", True])
async def test_a_size_limit_that_is_none_is_the_applications_error(
    serve: Serve, caplog: pytest.LogCaptureFixture, size: Any
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "max_size": size})

    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 500
    (record,) = error_records(caplog)
    assert "'max_size' is a number of bytes" in str(record.exc_info)


# ---- found by review ------------------------------------------------------------------------


async def test_a_group_of_disconnects_is_no_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ws.receive_text())
            tasks.create_task(asyncio.sleep(1000))

    async with serve(WebSocketRoute("/", handler)) as server:
        async with websocket(server) as client:
            client.reset()
        await asyncio.wait_for(server.state.idle.wait(), 5)
    assert not error_records(caplog)


async def test_an_endpoint_whose_client_is_gone_when_it_sends_is_told_its_code() -> None:
    gone: list[int] = []
    go_on = asyncio.Event()

    class Slow(WebSocketEndpoint):
        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await go_on.wait()
            await websocket.send_text("late")

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            gone.append(close_code)

    async with AsyncTestClient(websocket_app(Slow)).websocket_connect("/") as ws:
        await ws.send_text("x")
        await ws.close(3001)
        go_on.set()
    assert gone == [3001]


async def test_subprotocol_handlers_behind_a_first_message() -> None:
    protocols = Subprotocols()
    app = websocket_app(
        protocols.handle, guards=[Token(one_of(alice="sesame"), from_first_message())]
    )

    @protocols("chat")  # registered behind the route, as a module may well do
    async def chat(ws: WebSocket) -> None:
        await ws.send_text("chat")

    async with AsyncTestClient(app).websocket_connect("/", ["news", "chat"]) as ws:
        assert ws.accepted_subprotocol == "chat"
        await ws.send_text("sesame")
        assert await ws.receive_text() == "chat"


async def test_plain_http_at_a_websocket_is_426() -> None:
    async with AsyncTestClient(websocket_app(where)) as tester:
        response = await tester.get("/")
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")


async def test_starlettes_requires_takes_our_websocket() -> None:
    from starlette.authentication import AuthCredentials, requires

    @requires("authenticated")
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["auth"] = AuthCredentials(scope["path"].strip("/").split(","))
        await websocket_app(handler)(scope, receive, send)

    client = AsyncTestClient(app)
    async with client.websocket_connect("/authenticated") as ws:
        assert await ws.receive_text() == "in"
    with pytest.raises(Denied):
        async with client.websocket_connect("/nobody"):
            pass
