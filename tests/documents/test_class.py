"""The API page's class and exceptions: the same signatures, and what their docstrings promise."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

import longwire
from longwire import (
    WebSocket,
    WebSocketClose,
    WebSocketDisconnect,
    WebSocketRoute,
    WebSocketState,
)
from longwire.toolkit.testing import AsyncWebSocketSession, Denied
from tests.documents.blocks import state_and_exceptions, websocket_class
from tests.documents.conftest import Connect

pytestmark = pytest.mark.anyio

Handler = Callable[[WebSocket], Awaitable[None]]

MEMBERS = {
    name: member
    for name, member in vars(websocket_class.WebSocket).items()
    if name == "__init__" or not name.startswith("_")
}


def app_of(handler: Handler, path: str = "/", **options: Any) -> Starlette:
    return Starlette(routes=[WebSocketRoute(path, handler, name="socket")], **options)


def assert_takes_the_same(ours: Callable[..., Any], documented: Callable[..., Any]) -> None:
    """Names, kinds and defaults; ours may have keyword-only parameters on top."""
    parameters = inspect.signature(ours).parameters
    for name, wanted in inspect.signature(documented).parameters.items():
        assert (parameters[name].kind, parameters[name].default) == (wanted.kind, wanted.default)
    in_place = [name for name, own in parameters.items() if own.kind is not own.KEYWORD_ONLY]
    assert in_place == list(inspect.signature(documented).parameters)


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_is_as_documented(name: str) -> None:
    documented, ours = MEMBERS[name], inspect.getattr_static(WebSocket, name)
    if isinstance(documented, property):
        assert isinstance(ours, property)
        return
    assert callable(ours)
    assert_takes_the_same(ours, documented)
    # Compiled coroutine functions are known to asyncio, and to inspect from Python 3.12.
    assert asyncio.iscoroutinefunction(ours) is inspect.iscoroutinefunction(documented)


@pytest.mark.parametrize("name", ["WebSocketState", "WebSocketDisconnect", "WebSocketClose"])
def test_states_and_exceptions_are_as_documented(name: str) -> None:
    documented, ours = getattr(state_and_exceptions, name), getattr(longwire, name)
    if name == "WebSocketState":
        assert {state.name: state.value for state in ours} == {
            state.name: state.value for state in documented
        }
        return
    assert issubclass(ours, Exception) is issubclass(documented, Exception)
    assert_takes_the_same(ours, documented)


@pytest.mark.parametrize("arguments", [(), (3001,), (3001, "bye")])
def test_a_disconnect_has_code_and_reason(arguments: tuple[Any, ...]) -> None:
    documented = state_and_exceptions.WebSocketDisconnect(*arguments)
    ours = WebSocketDisconnect(*arguments)
    # No reason is None on the page and "" in starlette: both are false.
    assert (ours.code, ours.reason or None) == (documented.code, documented.reason)


# ---- properties -----------------------------------------------------------------------------


class Backend(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(["chat"]), SimpleUser("ada")


def states_of(websocket: WebSocket) -> tuple[WebSocketState, WebSocketState]:
    return websocket.client_state, websocket.application_state


async def test_properties(connect: Connect) -> None:
    async def handler(websocket: WebSocket) -> None:
        assert states_of(websocket) == (WebSocketState.CONNECTING, WebSocketState.CONNECTING)
        await websocket.accept()
        websocket.state.count = 1
        assert states_of(websocket) == (WebSocketState.CONNECTED, WebSocketState.CONNECTED)
        assert websocket.client is not None
        await websocket.send_json(
            {
                "url": websocket.url.path + "?" + websocket.url.query,
                "scheme": websocket.url.scheme,
                "base_url": websocket.base_url.path,
                "header": websocket.headers["X-Word"],
                "query": websocket.query_params.getlist("q"),
                "path": websocket.path_params,
                "cookies": websocket.cookies,
                "client": bool(websocket.client.host),
                "session": websocket.session,
                "auth": websocket.auth.scopes,
                "user": websocket.user.display_name,
                "state": websocket.state.count,
                "url_for": websocket.url_for("socket", number=8).path,
            }
        )

    middleware = [
        Middleware(SessionMiddleware, secret_key="x"),
        Middleware(AuthenticationMiddleware, backend=Backend()),
    ]
    app = app_of(handler, "/ws/{number:int}", middleware=middleware)
    async with connect(app) as client:
        path, headers = "/ws/7?q=a%20b&q=c", {"X-Word": "w", "Cookie": "a=1; b=2"}
        async with client.websocket_connect(path, headers=headers) as websocket:
            assert await websocket.receive_json() == {
                "url": "/ws/7?q=a%20b&q=c",
                "scheme": "ws",
                "base_url": "/",
                "header": "w",
                "query": ["a b", "c"],
                "path": {"number": 7},
                "cookies": {"a": "1", "b": "2"},
                "client": True,
                "session": {},
                "auth": ["chat"],
                "user": "ada",
                "state": 1,
                "url_for": "/ws/8",
            }


# ---- what the docstrings promise ------------------------------------------------------------


async def test_accept_takes_subprotocol_and_headers(connect: Connect) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept("chat", [(b"x-word", b"w")])
        with pytest.raises(RuntimeError):
            await websocket.accept()
        await websocket.close(code=3001, reason="bye")
        with pytest.raises(RuntimeError):
            await websocket.accept()

    async with connect(app_of(handler)) as client:
        async with client.websocket_connect("/", ["other", "chat"]) as websocket:
            assert websocket.accepted_subprotocol == "chat"
            assert (b"x-word", b"w") in websocket.extra_headers
            with pytest.raises(WebSocketDisconnect) as end:
                await websocket.receive_text()
            assert (end.value.code, end.value.reason) == (3001, "bye")


async def test_close_is_1000_by_default(connect: Connect) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    async with connect(app_of(handler)) as client:
        async with client.websocket_connect("/") as websocket:
            with pytest.raises(WebSocketDisconnect) as end:
                await websocket.receive_text()
            assert (end.value.code, end.value.reason) == (1000, "")


async def test_a_denial_response(connect: Connect) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("pay first", 402, {"x-word": "w"}))

    async with connect(app_of(handler)) as client:
        with pytest.raises(Denied) as refusal:
            async with client.websocket_connect("/"):
                pass
    assert (refusal.value.status_code, refusal.value.text) == (402, "pay first")
    assert refusal.value.headers["x-word"] == "w"


async def send(websocket: AsyncWebSocketSession, text: str, is_binary: bool) -> None:
    await (websocket.send_bytes(text.encode()) if is_binary else websocket.send_text(text))


RECEIVES: dict[str, Callable[[WebSocket], Awaitable[Any]]] = {
    "receive_text": lambda websocket: websocket.receive_text(),
    "receive_bytes": lambda websocket: websocket.receive_bytes(),
    "receive_json": lambda websocket: websocket.receive_json(),
    "receive_json binary": lambda websocket: websocket.receive_json(mode="binary"),
}


@pytest.mark.parametrize("call", RECEIVES)
async def test_receiving(connect: Connect, call: str) -> None:
    """A message, one of the wrong kind, no JSON; then the end."""
    is_binary = call in ("receive_bytes", "receive_json binary")
    ended: asyncio.Queue[int] = asyncio.Queue()

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        first = await RECEIVES[call](websocket)
        await websocket.send_text(repr(first))
        with pytest.raises(RuntimeError):
            await RECEIVES[call](websocket)
        if "json" in call:
            with pytest.raises(ValueError, match="expected JSON"):
                await RECEIVES[call](websocket)
        with pytest.raises(WebSocketDisconnect) as end:
            await RECEIVES[call](websocket)
        ended.put_nowait(end.value.code)

    async with connect(app_of(handler)) as client:
        async with client.websocket_connect("/") as websocket:
            await send(websocket, "[1]", is_binary)
            expected: Any = [1] if "json" in call else b"[1]" if is_binary else "[1]"
            assert await websocket.receive_text() == repr(expected)
            await send(websocket, "[1]", not is_binary)
            if "json" in call:
                await send(websocket, "{", is_binary)
            await websocket.close(3001)
            assert await asyncio.wait_for(ended.get(), 5) == 3001


async def test_receive_and_send_are_raw(connect: Connect) -> None:
    ended: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(websocket: WebSocket) -> None:
        assert await websocket.receive() == {"type": "websocket.connect"}
        await websocket.send({"type": "websocket.accept"})
        message = await websocket.receive()
        assert message["type"] == "websocket.receive"
        await websocket.send({"type": "websocket.send", "text": message["text"]})
        ended.put_nowait(await websocket.receive())
        # The page has receive() raise at the end; starlette tells the event, then raises.
        with pytest.raises(WebSocketDisconnect) as end:
            await websocket.receive()
        ended.put_nowait(end.value.code)

    async with connect(app_of(handler)) as client:
        async with client.websocket_connect("/") as websocket:
            await websocket.send_text("hello")
            assert await websocket.receive_text() == "hello"
            await websocket.close(3001, "bye")
            event = await asyncio.wait_for(ended.get(), 5)
            assert event["type"] == "websocket.disconnect"
            assert (event["code"], event["reason"]) == (3001, "bye")
            assert await asyncio.wait_for(ended.get(), 5) == 3001


ITERATORS: dict[str, Callable[[WebSocket], AsyncIterator[Any]]] = {
    "iter_text": lambda websocket: websocket.iter_text(),
    "iter_bytes": lambda websocket: websocket.iter_bytes(),
    "iter_json": lambda websocket: websocket.iter_json(),
    "iter_json binary": lambda websocket: websocket.iter_json(mode="binary"),
}


@pytest.mark.parametrize("call", ITERATORS)
async def test_iterating_until_the_connection_closes(connect: Connect, call: str) -> None:
    is_binary = call in ("iter_bytes", "iter_json binary")
    heard: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        heard.put_nowait([message async for message in ITERATORS[call](websocket)])

    async with connect(app_of(handler)) as client:
        async with client.websocket_connect("/") as websocket:
            for text in ("1", "2"):
                await send(websocket, text, is_binary)
            await websocket.close()
            messages = await asyncio.wait_for(heard.get(), 5)
    assert messages == {"iter_text": ["1", "2"], "iter_bytes": [b"1", b"2"]}.get(call, [1, 2])


async def test_sending(connect: Connect) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("é")
        await websocket.send_bytes(b"\x00\xff")
        await websocket.send_json({"a": [1, None]})
        await websocket.send_json({"a": "é"}, mode="binary")

    async with connect(app_of(handler)) as client:
        async with client.websocket_connect("/") as websocket:
            assert await websocket.receive_text() == "é"
            assert await websocket.receive_bytes() == b"\x00\xff"
            assert await websocket.receive_json() == {"a": [1, None]}
            assert await websocket.receive_json(mode="binary") == {"a": "é"}


async def test_websocket_close_as_an_endpoint(connect: Connect) -> None:
    # It closes before accept, so that the client sees HTTP 403 and neither code nor reason.
    async with connect(WebSocketClose(code=4001, reason="no")) as client:
        with pytest.raises(Denied) as refusal:
            async with client.websocket_connect("/"):
                pass
    assert refusal.value.status_code == 403
