"""The test clients' ends: every application and connection ends, as strictly as on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from longwire import WebSocket, WebSocketDisconnect, lifecycle, websocket_app
from longwire.asgi import ASGIApp, Message, Receive, Scope, Send
from longwire.engine import handshake
from longwire.engine.codes import check_sendable
from longwire.engine.handshake import check_header
from longwire.errors import LocalProtocolError
from longwire.lifecycle import acceptance, closing
from longwire.toolkit.disconnect import ClosedBy, Closure
from longwire.toolkit.testing import AsyncTestClient, Denied, ReceiveTimeout, TestClient
from tests.conftest import Serve

pytestmark = pytest.mark.anyio

Loop = Callable[[Receive, Send], Awaitable[None]]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancel soon what does not end: a busy machine takes as long for what does."""
    monkeypatch.setattr("longwire.toolkit.testing.memory.GRACE", 0.05)


# ---- applications that do not end -----------------------------------------------------------


async def asks_on(receive: Receive, send: Send) -> None:
    while True:
        await receive()


async def sends_on(receive: Receive, send: Send) -> None:
    while True:
        with contextlib.suppress(OSError):
            await send({"type": "websocket.send", "text": "x" * 1_000_000})


async def sends_nothing_on(receive: Receive, send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "text": ""})


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("loop", [asks_on, sends_on])
async def test_an_application_that_ignores_the_end_is_cancelled(loop: Loop) -> None:
    assert await how_it_ends(loop) == ["cancelled"]


async def test_an_application_that_sends_empty_messages_on_hears_that_it_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They fill the buffer, too; half a million of them, a busy machine's timeout or two."""
    monkeypatch.setattr("longwire.toolkit.testing.memory.SEND_BUFFER_BYTES", 10_000)
    assert await how_it_ends(sends_nothing_on) == ["lost"]


async def how_it_ends(loop: Loop) -> list[str]:
    """Run an application that does this once its client has left."""
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await loop(receive, send)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        except OSError:
            ended.append("lost")
            raise

    async with AsyncTestClient(app).websocket_connect("/"):
        pass
    return ended


async def test_an_application_that_sends_on_leaves_the_client_its_turn() -> None:
    sent = 0

    async def app(ws: WebSocket) -> None:
        nonlocal sent
        await ws.accept()
        while True:
            sent += 1
            await ws.send_text("")

    async with AsyncTestClient(websocket_app(app)).websocket_connect("/"):
        assert sent < 1_000


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_cancellation_that_nobody_asked_for_is_the_applications_error(
    accepts: bool,
) -> None:
    async def cancels_itself(ws: WebSocket) -> None:
        if accepts:
            await ws.accept()
        task = asyncio.ensure_future(asyncio.sleep(1000))
        task.cancel()
        await task

    async def talk(tester: AsyncTestClient) -> None:
        async with tester.websocket_connect("/") as ws:
            await ws.receive_text()

    with pytest.raises(RuntimeError, match="ended with a CancelledError") as caught:
        await talk(AsyncTestClient(websocket_app(cancels_itself)))
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    tester = AsyncTestClient(websocket_app(cancels_itself), raise_app_exceptions=False)
    with pytest.raises(WebSocketDisconnect) as seen:
        await talk(tester)
    if accepts:
        assert seen.value.code == 1011
    else:
        assert isinstance(seen.value, Denied)
        assert seen.value.status_code == 500


async def test_a_cancellation_after_the_client_left_is_no_error() -> None:
    async def cancels_itself(ws: WebSocket) -> None:
        await ws.accept()
        await ws.closed
        raise asyncio.CancelledError

    async with AsyncTestClient(websocket_app(cancels_itself)).websocket_connect("/"):
        pass


# ---- applications that block their event loop -----------------------------------------------


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("talks", [True, False])
def test_a_blocked_loop_does_not_hang_a_test_that_is_no_coroutine(
    monkeypatch: pytest.MonkeyPatch, entered: bool, talks: bool
) -> None:
    monkeypatch.setattr("longwire.toolkit.testing.loop.MARGIN", 0.1)
    release = threading.Event()

    async def blocks(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        release.wait(25)  # the line that the timeout names

    def use(tester: TestClient) -> None:
        with tester.websocket_connect("/") as ws:
            ws.send_text("x")
            if talks:
                ws.receive_text()

    tester = TestClient(websocket_app(blocks), timeout=0.5)
    started = time.monotonic()
    with pytest.raises(ReceiveTimeout, match=r"blocks its event loop in .*blocks \(") as told:
        with tester if entered else contextlib.nullcontext():
            use(tester)
    assert "release.wait(25)  # the line that the timeout names" in str(told.value)
    assert time.monotonic() - started < 20  # the application would block for 25
    release.set()


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
def test_a_blocking_lifespan_does_not_hang_a_test_that_is_no_coroutine(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr("longwire.toolkit.testing.loop.MARGIN", 0.1)
    release = threading.Event()

    async def blocks(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != f"lifespan.{stage}":
            await send({"type": message["type"] + ".complete"})
        release.wait(25)

    with pytest.raises(ReceiveTimeout, match=r"blocks its event loop in .*release\.wait"):
        with TestClient(blocks, timeout=0.5):
            pass
    with pytest.raises(AssertionError, match="the test's"):
        with TestClient(blocks, timeout=0.5) if stage == "shutdown" else contextlib.nullcontext():
            raise AssertionError("the test's")
    release.set()


def test_a_loop_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longwire.toolkit.testing.loop.MARGIN", 0.5)
    release = threading.Event()

    async def leaves_a_thread(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.to_thread(release.wait, 25)

    with pytest.raises(ReceiveTimeout, match=r"the event loop did not end within 1 s"):
        with TestClient(websocket_app(leaves_a_thread), timeout=0.5).websocket_connect("/"):
            pass
    release.set()


def test_a_call_that_takes_long_in_a_loop_that_runs_is_waited_for() -> None:
    async def slow(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(1.8)
        await ws.send_text("at last")

    with TestClient(websocket_app(slow), timeout=0.5).websocket_connect("/") as ws:
        assert ws.receive_text(timeout=15) == "at last"


# ---- servers that do not read or end --------------------------------------------------------


async def test_a_server_that_does_not_read_is_a_timeout(serve: Serve) -> None:
    async def never_reads(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(1000)

    async def fill(tester: AsyncTestClient) -> None:
        async with tester.websocket_connect("/") as ws:
            for _ in range(100):
                await ws.send_bytes(b"x" * 1_000_000)

    async with serve(websocket_app(never_reads)) as server:
        tester = AsyncTestClient(server.url("http"), timeout=1)
        with pytest.raises(ReceiveTimeout, match=r"did not read what was sent within 1 s"):
            await asyncio.wait_for(fill(tester), 10)


async def test_a_reader_that_stopped_sees_the_end_when_it_leaves(serve: Serve) -> None:
    async def floods(ws: WebSocket) -> None:
        await ws.accept()
        while True:
            await ws.send_bytes(b"x" * 100_000)

    async with serve(websocket_app(floods)) as server:
        started = time.monotonic()
        tester = AsyncTestClient(server.url("http"), timeout=20)
        async with tester.websocket_connect("/") as ws:
            await ws.stop_reading()
            await ws.close()
        assert time.monotonic() - started < 10


async def test_a_handshake_of_tls_that_is_not_answered_is_a_timeout() -> None:
    leave = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await leave.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ReceiveTimeout, match=r"no connection to wss://.* within 0\.2 s"):
            async with AsyncTestClient(f"https://127.0.0.1:{port}", timeout=0.2).websocket_connect(
                "/"
            ):
                pass
        leave.set()


# ---- lifespans ------------------------------------------------------------------------------


class Lifespan:
    """An application that notes how its lifespan went, and after `stage` does not end."""

    def __init__(self, stage: str = "") -> None:
        self.stage = stage
        self.noted: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while True:
                message = await receive()
                self.noted.append(message["type"])
                if message["type"] == f"lifespan.{self.stage}":
                    await asyncio.sleep(1000)
                await send({"type": message["type"] + ".complete"})
        finally:
            self.noted.append("ended")


WHOLE = ["lifespan.startup", "lifespan.shutdown", "ended"]


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@pytest.mark.parametrize("stage", ["", "shutdown"])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_lifespan_ends_with_its_test(stage: str, fails: bool) -> None:
    app = Lifespan(stage)
    before = others()
    with contextlib.ExitStack() as stack:
        if fails:
            stack.enter_context(pytest.raises(AssertionError, match="the test's"))
        elif stage:
            stack.enter_context(pytest.raises(TimeoutError, match="shutdown took more than"))
        async with AsyncTestClient(app, timeout=0.5):
            assert app.noted == ["lifespan.startup"]
            if fails:
                raise AssertionError("the test's")
    assert app.noted == WHOLE
    assert others() == before


async def test_a_startup_that_fails_leaves_nothing_open() -> None:
    app = Lifespan("startup")
    before = others()
    tester = AsyncTestClient(app, timeout=0.1)
    with pytest.raises(TimeoutError, match="startup took more than"):
        async with tester:
            pass
    assert app.noted == ["lifespan.startup", "ended"]
    assert others() == before
    assert tester.is_closed


def test_a_lifespan_ends_with_its_test_that_is_no_coroutine() -> None:
    app = Lifespan()
    with pytest.raises(AssertionError, match="the test's"):
        with TestClient(app):
            raise AssertionError("the test's")
    assert app.noted == WHOLE


# ---- the server in memory and the one on a port ---------------------------------------------


@contextlib.asynccontextmanager
async def client(serve: Serve, where: str, app: ASGIApp) -> AsyncIterator[AsyncTestClient]:
    if where == "memory":
        yield AsyncTestClient(app)
        return
    async with serve(app) as server:
        yield AsyncTestClient(server.url("http"))


both = pytest.mark.parametrize("where", ["memory", "live"])


@pytest.mark.parametrize(
    ("end", "by", "code"),
    [
        ("close", ClosedBy.CLIENT, 3001),
        ("lose", ClosedBy.NOBODY, 1006),
        ("lose_pongs", ClosedBy.SERVER, 1006),
        ("drain", ClosedBy.SERVER, 1012),
    ],
)
async def test_the_application_hears_who_ended_it(end: str, by: ClosedBy, code: int) -> None:
    heard: list[Closure] = []

    async def listens(ws: WebSocket) -> None:
        await ws.accept()
        heard.append(await ws.closed)

    async with AsyncTestClient(websocket_app(listens)).websocket_connect("/") as ws:
        await (ws.close(3001) if end == "close" else getattr(ws, end)())
    assert [(closure.by, closure.code) for closure in heard] == [(by, code)]


@both
async def test_the_application_hears_that_it_closed_itself(serve: Serve, where: str) -> None:
    heard: list[Message] = []

    async def closes(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001, "reason": "é" * 100})
        heard.append(await receive())

    async with client(serve, where, closes) as tester, tester.websocket_connect("/") as ws:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
    assert (caught.value.code, caught.value.reason) == (4001, "é" * 61)
    assert heard == [
        {"type": "websocket.disconnect", "code": 4001, "reason": "é" * 61, "by": "application"}
    ]


CODES = (0, 999, 1004, 1005, 1006, 1010, 1015, 2999, 5000, 99999, None, True, "1000", 1000.0)
REFUSED_CLOSES: list[Message] = [
    *({"type": "websocket.close", "code": code} for code in CODES),
    {"type": "websocket.close", "reason": b"x"},
]
REFUSED_ACCEPTS: list[Message] = [
    {"type": "websocket.accept", "subprotocol": "never-offered"},
    *(
        {"type": "websocket.accept", "headers": [header]}
        for header in (
            (b"x", b"a\r\nInjected: 1"),
            (b"x", b"a\nb"),
            (b"x", b"a\0b"),
            (b"x y", b"a"),
            (b"", b"a"),
            (b"Upgrade", b"x"),
            (b"content-length", b"1"),
            (b"Sec-WebSocket-Accept", b"x"),
            (b"sec-websocket-protocol", b"chat"),
            ("x", "a"),
        )
    ),
]


async def errors_of(
    serve: Serve, where: str, message: Message, subprotocols: list[str]
) -> list[tuple[type[Exception], str]]:
    """Return what the application's send() raises for the message, on that server."""
    caught = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if message["type"] == "websocket.close":
            await send({"type": "websocket.accept"})
        try:
            await send(message)
        except Exception as error:
            caught.append((type(error), str(error)))
        await send({"type": "websocket.close"})

    async with client(serve, where, app) as tester:
        with pytest.raises(WebSocketDisconnect):
            async with tester.websocket_connect("/", subprotocols) as ws:
                await ws.receive_text()
    return caught


@pytest.mark.parametrize("subprotocols", [[], ["chat", "other"]])
@pytest.mark.parametrize("message", REFUSED_CLOSES + REFUSED_ACCEPTS, ids=str)
async def test_both_servers_refuse_the_same_in_the_same_words(
    serve: Serve, message: Message, subprotocols: list[str]
) -> None:
    told = await errors_of(serve, "memory", message, subprotocols)
    assert len(told) == 1
    assert told == await errors_of(serve, "live", message, subprotocols)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1009, 1011, 1014, 3000, 4999])
async def test_both_servers_send_the_same_codes(serve: Serve, code: int) -> None:
    message = {"type": "websocket.close", "code": code}
    for where in ("memory", "live"):
        assert await errors_of(serve, where, message, []) == []


def test_the_rules_are_the_engines() -> None:
    """The toolkit may not import the engine, and the engine knows nothing of ASGI."""
    for code in range(-1, 6000):
        message = {"type": "websocket.close", "code": code}
        assert raised_by(closing, message) == raised_by(check_sendable, code, False)
    for byte in range(256):
        header = bytes([byte]), b"a" + bytes([byte])
        accept = {"type": "websocket.accept", "headers": [header]}
        assert raised_by(acceptance, accept, []) == raised_by(check_header, *header)
    assert lifecycle.HANDSHAKE_HEADERS == handshake.OURS


def raised_by(function: Callable[..., object], *arguments: object) -> str:
    try:
        function(*arguments)
    except LocalProtocolError as error:
        return str(error)
    return ""


async def test_a_group_of_disconnects_is_an_applications_normal_end() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ws.receive_text())
            tasks.create_task(asyncio.sleep(1000))

    async with AsyncTestClient(app).websocket_connect("/") as ws:
        await ws.close()
