"""The test clients: real close codes, faults on demand, and nothing that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import starlette.testclient
import starlette.websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.websockets import WebSocketState

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute, websocket_app
from longwire.asgi import Receive, Scope, Send
from longwire.errors import LifecycleError, StartupError
from longwire.toolkit import InvalidJSON, UnexpectedMessage
from longwire.toolkit.testing import AsyncTestClient, Denied, ReceiveTimeout, TestClient
from tests.conftest import Serve

pytestmark = pytest.mark.anyio

Handler = Callable[[WebSocket], Awaitable[None]]

heard: list[Any] = []


async def echo(ws: WebSocket) -> None:
    await ws.accept(ws.subprotocols[0] if ws.subprotocols else None, headers=[(b"x-is", b"echo")])
    try:
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                heard.append((message["code"], message["reason"]))
                return
            if message.get("text") is not None:
                await ws.send_text(message["text"])
            else:
                await ws.send_bytes(message["bytes"])
    except WebSocketDisconnect as error:
        heard.append((error.code, error.reason))


async def closes(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("last")
    await ws.close(4002, "enough")


async def returns(ws: WebSocket) -> None:
    await ws.accept()


async def raises(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()
    raise ZeroDivisionError("the application's own")


async def raises_before(ws: WebSocket) -> None:
    raise ZeroDivisionError("before accept")


async def denies(ws: WebSocket) -> None:
    await ws.send_denial_response(PlainTextResponse("no", 418, {"X-Is": "teapot"}))


async def rejects(ws: WebSocket) -> None:
    await ws.close(4001, "no")


async def floods(ws: WebSocket) -> None:
    await ws.accept()
    heard.append("started")
    while True:
        await ws.send_text("x" * 1000)
        heard.append("sent")


async def waits(ws: WebSocket) -> None:
    await ws.accept()
    await asyncio.sleep(1000)  # the line that the timeout names


APPS = {
    f"/{handler.__name__}": handler
    for handler in (echo, closes, returns, raises, raises_before, denies, rejects, floods, waits)
}
app = Starlette(routes=[WebSocketRoute(path, handler) for path, handler in APPS.items()])


@contextlib.asynccontextmanager
async def client(
    serve: Serve, where: str, *, ping: float = 20, **options: Any
) -> AsyncIterator[AsyncTestClient]:
    """The client in process, or against a live port of a server that pings so often.

    A pong may take five times as long: it is the real client's, which a busy machine keeps waiting.
    """
    heard.clear()
    if where == "memory":
        yield AsyncTestClient(app, **options)
        return
    async with serve(app, ws_ping_interval=ping, ws_ping_timeout=5 * ping) as server:
        yield AsyncTestClient(server.url("http"), **options)


both = pytest.mark.parametrize("where", ["memory", "live"])


# ---- what is the same in process and against a live port ------------------------------------


@both
async def test_messages_both_ways(serve: Serve, where: str) -> None:
    async with client(serve, where) as tester:
        async with tester.websocket_connect("/echo", ["chat"]) as ws:
            assert ws.accepted_subprotocol == "chat"
            assert (b"x-is", b"echo") in ws.extra_headers
            await ws.send_text("")
            assert await ws.receive_text() == ""
            await ws.send_bytes(b"\xff")
            assert await ws.receive_bytes() == b"\xff"
            await ws.send_json({"a": "é"})
            assert await ws.receive_json() == {"a": "é"}
            await ws.send_json([1], mode="binary")
            assert await ws.receive_json(mode="binary") == [1]
            await ws.send({"type": "websocket.receive", "text": "raw"})
            assert await ws.receive() == {"type": "websocket.send", "text": "raw"}
            await ws.send_text("x" * 100_000)
            assert len(await ws.receive_text()) == 100_000


@both
async def test_messages_of_the_wrong_kind(serve: Serve, where: str) -> None:
    async with client(serve, where) as tester, tester.websocket_connect("/echo") as ws:
        await ws.send_text("{")
        with pytest.raises(InvalidJSON):
            await ws.receive_json()
        await ws.send_text("x")
        with pytest.raises(UnexpectedMessage):
            await ws.receive_bytes()


@both
async def test_the_client_closes_and_the_application_hears_its_code(
    serve: Serve, where: str
) -> None:
    async with client(serve, where) as tester:
        async with tester.websocket_connect("/echo") as ws:
            assert ws.client_state.name == "CONNECTED"
            await ws.close(3001, "bye")
            await ws.close()
        assert ws.client_state is WebSocketState.DISCONNECTED
        assert heard == [(3001, "bye")]


@both
async def test_the_application_closes(serve: Serve, where: str) -> None:
    async with client(serve, where) as tester, tester.websocket_connect("/closes") as ws:
        assert await ws.receive_text() == "last"
        for _ in range(2):
            with pytest.raises(starlette.websockets.WebSocketDisconnect) as caught:
                await ws.receive_text()
            assert (caught.value.code, caught.value.reason) == (4002, "enough")
        assert ws.client_state is WebSocketState.DISCONNECTED
        with pytest.raises(WebSocketDisconnect):
            await ws.send_text("x")
        assert await ws.receive() == {"type": "websocket.close", "code": 4002, "reason": "enough"}


@both
async def test_an_application_that_returns_has_closed_with_1000(serve: Serve, where: str) -> None:
    async with client(serve, where) as tester, tester.websocket_connect("/returns") as ws:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert caught.value.code == 1000


@both
@pytest.mark.parametrize(
    ("path", "status"), [("/denies", 418), ("/rejects", 403), ("/unknown", 403)]
)
async def test_a_refusal_is_an_http_response(
    serve: Serve, where: str, path: str, status: int
) -> None:
    async with client(serve, where) as tester:
        with pytest.raises(starlette.testclient.WebSocketDenialResponse) as caught:
            async with tester.websocket_connect(path):
                pass
    denied = caught.value
    assert isinstance(denied, Denied)
    assert isinstance(denied, starlette.websockets.WebSocketDisconnect)
    assert (denied.status_code, denied.code) == (status, 1006)  # no client sees 4001 there
    if path == "/denies":
        assert (denied.text, denied.headers["x-is"]) == ("no", "teapot")


@both
async def test_an_abrupt_loss(serve: Serve, where: str) -> None:
    async with client(serve, where) as tester:
        async with tester.websocket_connect("/echo") as ws:
            await ws.send_text("x")
            assert await ws.receive_text() == "x"
            await ws.lose()
            assert ws.client_state is WebSocketState.DISCONNECTED
        await asyncio.wait_for(_until(lambda: bool(heard)), 5)
        assert heard[0][0] == 1006


@both
async def test_a_reader_that_stops(serve: Serve, where: str) -> None:
    async with client(serve, where) as tester:
        async with tester.websocket_connect("/floods") as ws:
            await ws.stop_reading()
            before = -1
            while len(heard) > before:  # until the application's send() waits
                before = len(heard)
                await asyncio.sleep(0.2)
            await ws.resume_reading()
            for _ in range(before + 100):
                await ws.receive_text()
            assert len(heard) > before


@both
async def test_lost_pongs(serve: Serve, where: str) -> None:
    async with client(serve, where, ping=0.1) as tester:
        async with tester.websocket_connect("/echo") as ws:
            await ws.send_text("x")
            assert await ws.receive_text() == "x"
            await ws.lose_pongs()
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
            assert (caught.value.code, caught.value.reason) == (1011, "keepalive ping timeout")
        await asyncio.wait_for(_until(lambda: bool(heard)), 5)
        assert heard == [(1006, "keepalive ping timeout")]


@both
async def test_nothing_that_comes_is_a_timeout(serve: Serve, where: str) -> None:
    async with client(serve, where, timeout=0.5) as tester:
        with pytest.raises(ReceiveTimeout, match=r"within 0\.5 s") as caught:
            async with tester.websocket_connect("/waits") as ws:
                await ws.receive_text()
        assert isinstance(caught.value, TimeoutError)
        if where == "memory":
            assert "waiting in waits (test_testing.py:" in str(caught.value)
            assert "await asyncio.sleep(1000)  # the line that the timeout names" in str(
                caught.value
            )
            assert "received 0 messages and sent 0" in str(caught.value)
        async with tester.websocket_connect("/waits", timeout=30) as ws:
            with pytest.raises(ReceiveTimeout, match=r"within 0\.05 s"):
                await ws.receive_bytes(timeout=0.05)
            await ws.close()


async def _until(predicate: Callable[[], bool]) -> None:
    while not predicate():
        await asyncio.sleep(0.01)


# ---- what only a client in process can know -------------------------------------------------


@pytest.mark.parametrize(("path", "code"), [("/raises", 1011), ("/raises_before", 1006)])
async def test_the_applications_exception_surfaces_as_itself(path: str, code: int) -> None:
    async def talk(tester: AsyncTestClient) -> None:
        async with tester.websocket_connect(path) as ws:
            await ws.send_text("x")
            await ws.receive_text()

    with pytest.raises(ZeroDivisionError) as caught:
        await talk(AsyncTestClient(app))
    assert caught.traceback[-1].name == path[1:]
    with pytest.raises(WebSocketDisconnect) as seen:
        await talk(AsyncTestClient(app, raise_app_exceptions=False))
    assert seen.value.code == code


async def test_an_exception_after_the_last_receive_surfaces_at_the_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with AsyncTestClient(websocket_app(handler)).websocket_connect("/"):
            pass


async def test_the_tests_own_failure_is_the_one_that_is_told() -> None:
    with pytest.raises(AssertionError, match="the test's"):
        async with AsyncTestClient(app).websocket_connect("/raises"):
            raise AssertionError("the test's")


async def failing_check(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("fine so far")
    pytest.fail("the application's check")


async def test_a_check_that_fails_in_the_application_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="the application's check") as caught:
        async with AsyncTestClient(websocket_app(failing_check)).websocket_connect("/") as ws:
            assert await ws.receive_text() == "fine so far"
    assert isinstance(caught.value.__cause__, pytest.fail.Exception)


@pytest.mark.parametrize("receives", [1, 2])
def test_a_failed_check_and_a_test_that_is_no_coroutine(receives: int) -> None:
    with pytest.raises(AssertionError, match="the application's check"):
        with TestClient(websocket_app(failing_check)).websocket_connect("/") as ws:
            assert [ws.receive_text() for _ in range(receives)] == ["fine so far"]


async def test_an_application_that_ends_because_its_client_left_is_no_error() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.receive_text()

    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(WebSocket(scope, receive, send))

    async with AsyncTestClient(bare).websocket_connect("/") as ws:
        await ws.close()


async def test_an_application_that_does_not_end_is_cancelled_and_then_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("longwire.toolkit.testing.memory.GRACE", 0.05)
    seen: list[str] = []

    async def sleeps(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await asyncio.sleep(1000)
        finally:
            seen.append("cancelled")

    async with AsyncTestClient(websocket_app(sleeps)).websocket_connect("/"):
        pass
    assert seen == ["cancelled"]
    release = asyncio.Event()

    async def insists(ws: WebSocket) -> None:
        await ws.accept()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    with pytest.raises(ReceiveTimeout, match=r"did not end within 0\.5 s.*insists"):
        async with AsyncTestClient(websocket_app(insists), timeout=0.5).websocket_connect("/"):
            pass
    release.set()


async def test_an_application_that_sends_without_end_does_not_hang_the_test() -> None:
    heard.clear()
    async with AsyncTestClient(app, timeout=1).websocket_connect("/floods") as ws:
        assert len(await ws.receive_text()) == 1000
    assert heard.count("sent") < 5000  # the server's own bound: 1 MiB


async def test_an_illegal_message_is_the_applications_error() -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.send", "text": "x"})

    with pytest.raises(LifecycleError, match=r"sent 'websocket\.send' while .* connecting"):
        async with AsyncTestClient(handler).websocket_connect("/"):
            pass


async def test_going_away_and_draining() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.going_away
        await ws.send_text("goodbye")
        heard.append(await ws.closed)

    heard.clear()
    async with AsyncTestClient(websocket_app(handler)).websocket_connect("/") as ws:
        await ws.go_away()
        assert await ws.receive_text() == "goodbye"
        await ws.drain()
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert caught.value.code == 1012
    assert heard[0].code == 1012


async def test_state_headers_and_cookies_reach_the_scope() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        heard.append("up")
        yield {"db": 7}
        heard.append("down")

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(
            [ws.state.db, ws.cookies, ws.headers["x-a"], ws.query_params["q"], str(ws.url)]
        )

    async def page(request: Request) -> JSONResponse:
        return JSONResponse(request.url.path)

    heard.clear()
    served = Starlette(
        routes=[WebSocketRoute("/ws/é", handler), Route("/page", page)], lifespan=lifespan
    )
    async with AsyncTestClient(served, cookies={"a": "1"}, headers={"X-A": "x"}) as tester:
        assert (await tester.get("/page")).json() == "/page"
        async with tester.websocket_connect("/ws/%C3%A9?q=2", cookies={"b": "2"}) as ws:
            assert await ws.receive_json() == [
                7, {"a": "1", "b": "2"}, "x", "2", "ws://testserver/ws/é?q=2",
            ]  # fmt: skip
        async with tester.websocket_connect("wss://other.example/ws/%C3%A9?q=2") as ws:
            assert (await ws.receive_json())[4].startswith("wss://other.example/")
    assert heard == ["up", "down"]


async def test_params_make_the_query() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(ws.url.query)

    served = websocket_app(handler)
    async with AsyncTestClient(served, params={"of": "client"}) as tester:
        async with tester.websocket_connect("/?a=1", params={"b": ["é", 2]}) as ws:
            assert await ws.receive_text() == "a=1&of=client&b=%C3%A9&b=2"
    with TestClient(served).websocket_connect("/", params={"token": "x y"}) as session:
        assert session.receive_text() == "token=x+y"
    with TestClient(served).websocket_connect("/?a=%20b&a") as session:
        assert session.receive_text() == "a=%20b&a"


async def test_a_lifespan_that_fails_or_hangs_is_told() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(1000)

    async def knows_none(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    with pytest.raises(StartupError, match="no database"):
        async with AsyncTestClient(fails):
            pass
    with pytest.raises(TimeoutError, match=r"startup took more than 0\.1 s.*hangs"):
        async with AsyncTestClient(hangs, timeout=0.1):
            pass
    async with AsyncTestClient(knows_none):
        pass


def test_the_synchronous_client_and_lifespans() -> None:
    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(1000)

    async def passes_over(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await websocket_app(echo)(scope, receive, send)

    @contextlib.asynccontextmanager
    async def fails(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        raise ZeroDivisionError
        yield {}

    with pytest.raises(TimeoutError, match=r"startup took more than 0\.1 s.*hangs"):
        with TestClient(hangs, timeout=0.1):
            pass
    with pytest.raises(ZeroDivisionError):
        with TestClient(Starlette(lifespan=fails)):
            pass
    for knows_none in (passes_over, websocket_app(echo), WebSocketRoute("/", echo)):
        with TestClient(knows_none) as client:
            assert talk(client, "/") == "x"


# ---- tests that are no coroutines -----------------------------------------------------------


def test_the_synchronous_client_has_the_same_api() -> None:
    public = {name for name in dir(AsyncTestClient(app).websocket_connect("/")) if name[0] != "_"}
    with TestClient(app) as tester:
        session = tester.websocket_connect("/echo", ["chat"])
        assert {name for name in dir(session) if name[0] != "_"} == public
        with session as ws:
            assert ws.accepted_subprotocol == "chat"
            ws.send_json({"a": 1})
            assert ws.receive_json() == {"a": 1}
            ws.send_bytes(b"x")
            assert ws.receive_bytes() == b"x"
            ws.send({"type": "websocket.receive", "text": "raw"})
            assert ws.receive() == {"type": "websocket.send", "text": "raw"}
            assert ws.application_state is WebSocketState.CONNECTED
            ws.close(3001, "bye")
            assert ws.client_state is WebSocketState.DISCONNECTED
    assert heard[-1] == (3001, "bye")


def talk(tester: TestClient, path: str) -> str:
    with tester.websocket_connect(path) as ws:
        ws.send_text("x")
        return ws.receive_text()


@pytest.mark.parametrize("entered", [True, False])
def test_the_synchronous_client_does_not_hang(
    monkeypatch: pytest.MonkeyPatch, entered: bool
) -> None:
    monkeypatch.setattr("longwire.toolkit.testing.memory.GRACE", 0.05)
    tester = TestClient(app)
    with tester if entered else contextlib.nullcontext():
        started = time.monotonic()
        with pytest.raises(ReceiveTimeout, match="waiting in waits"):
            with tester.websocket_connect("/waits") as ws:
                ws.receive_text(timeout=0.1)
        with pytest.raises(ZeroDivisionError):
            talk(tester, "/raises")
        with pytest.raises(Denied):
            with tester.websocket_connect("/denies"):
                pass
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("fault", ["lose", "lose_pongs", "drain"])
def test_faults_in_tests_that_are_no_coroutines(fault: str) -> None:
    heard.clear()
    with TestClient(app).websocket_connect("/echo") as ws:
        getattr(ws, fault)()
        with pytest.raises(WebSocketDisconnect) as caught:
            ws.receive_text()
    assert caught.value.code == {"lose": 1006, "lose_pongs": 1011, "drain": 1012}[fault]
    assert heard[0][0] == {"lose": 1006, "lose_pongs": 1006, "drain": 1012}[fault]


async def test_the_synchronous_client_against_a_live_port(serve: Serve) -> None:
    async with serve(app) as server:
        with TestClient(server.url("http")) as tester:
            assert await asyncio.to_thread(talk, tester, "/echo") == "x"


def test_starlettes_own_client_and_ours_understand_each_other() -> None:
    """Our WebSocket under starlette's TestClient, starlette's under ours."""
    with starlette.testclient.TestClient(app).websocket_connect("/echo") as theirs:
        theirs.send_text("x")
        assert theirs.receive_text() == "x"

    async def handler(websocket: starlette.websockets.WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except starlette.websockets.WebSocketDisconnect as error:
            heard.append(error.code)

    heard.clear()
    route = starlette.routing.WebSocketRoute("/", handler)
    with TestClient(Starlette(routes=[route])).websocket_connect("/") as ours:
        ours.send_text("x")
        assert ours.receive_text() == "x"
        ours.close(3005)
    assert heard == [3005]


# ---- the pytest plugin ----------------------------------------------------------------------


def test_the_plugins_fixtures(websocket_client: Callable[..., TestClient]) -> None:
    tester = websocket_client(app)
    with tester.websocket_connect("/echo") as ws:
        ws.send_text("x")
        assert ws.receive_text() == "x"


async def test_the_plugins_asynchronous_fixture(
    async_websocket_client: Callable[..., AsyncTestClient],
) -> None:
    async with async_websocket_client(app) as tester, tester.websocket_connect("/echo") as ws:
        await ws.send_text("x")
        assert await ws.receive_text() == "x"


LIVE_TEST = """
def app(scope, receive, send): raise AssertionError("not in process")

def test_live(websocket_client):
    with websocket_client(app).websocket_connect("/echo") as ws:
        ws.send_text("x")
        assert ws.receive_text() == "x"
"""


@pytest.mark.timeout(60)
async def test_the_plugin_against_a_live_port(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "test_live.py").write_text(LIVE_TEST)
    async with serve(app) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path),
            f"--rootdir={tmp_path}", f"--live-url={server.url('http')}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(process.communicate(), 55)
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output
