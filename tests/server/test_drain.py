"""Going away: the notice, 1012 in batches, the handshakes, the deadline."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.errors import ConfigError
from longwire.server.config import Config
from tests.applications import Recorder, echo
from tests.conftest import Serve
from tests.wire import Ended, close, connect, request, websocket

pytestmark = [pytest.mark.anyio, pytest.mark.every_engine]


GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


async def both(scope: Scope, receive: Receive, send: Send) -> None:
    """A WebSocket's echo, or an empty response."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
    else:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})


async def test_sockets_are_closed_with_1012_after_a_close_handshake(serve: Serve) -> None:
    app = Recorder()
    async with serve(app) as server, websocket(server) as client:
        ending = asyncio.create_task(server.server.finish())
        assert (await client.close_frame()).code == 1012
        await client.send(close(1012))
        assert await client.eof() == b""
        assert await app.disconnect() == (1012, "")
        assert await ending == 0


async def test_the_drain_code_is_an_option(serve: Serve) -> None:
    async with serve(echo, ws_drain_code=1001) as server, websocket(server) as client:
        ending = asyncio.create_task(server.server.finish())
        assert (await client.close_frame()).code == 1001
        await client.send(close(1001))
        await ending


@pytest.mark.parametrize("code", [1000, 1001, 1012, 3000, 4999])
def test_drain_codes_that_can_be_sent(code: int) -> None:
    assert Config(ws_drain_code=code).ws_drain_code == code


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1010, 1015, 2000])
def test_a_drain_code_that_cannot_be_sent_is_refused(code: int) -> None:
    with pytest.raises(ConfigError, match=f"--ws-drain-code: close code {code} may not be sent"):
        Config(ws_drain_code=code)


async def test_applications_are_told_while_their_sockets_are_open(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notice = scope["extensions"]["longwire.drain"]["notice"]
        await receive()
        await send({"type": "websocket.accept"})
        assert not notice.is_set()
        await notice.wait()
        await send({"type": "websocket.send", "text": "goodbye"})
        await receive()

    async with serve(app) as server, websocket(server) as client:
        ending = asyncio.create_task(server.server.finish())
        assert await client.message() == "goodbye"
        assert (await client.close_frame()).code == 1012
        await client.send(close(1012))
        await ending


async def test_applications_that_are_told_in_a_task_can_say_goodbye_too(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        notice = scope["extensions"]["longwire.drain"]["notice"]
        await receive()
        await send({"type": "websocket.accept"})
        leaving = asyncio.ensure_future(notice.wait())
        await asyncio.wait({leaving}, timeout=20)
        await asyncio.sleep(0.01)  # it saves something
        await send({"type": "websocket.send", "text": "goodbye"})
        await receive()

    async with serve(app) as server, websocket(server) as client:
        ending = asyncio.create_task(server.server.finish())
        assert await client.message() == "goodbye"
        assert (await client.close_frame()).code == 1012
        await client.send(close(1012))
        await ending


async def test_nothing_new_is_accepted(serve: Serve) -> None:
    async with serve(echo) as server, websocket(server) as client:
        ending = asyncio.create_task(server.server.finish())
        await client.close_frame()
        with pytest.raises(ConnectionRefusedError):
            async with connect(server):
                pass
        await client.send(close(1012))
        await ending


async def test_an_idle_connection_cannot_upgrade_any_more(serve: Serve) -> None:
    """Whichever batch it is in: what opened now would be in none."""
    async with serve(both) as server, connect(server) as client:
        await client.send(GET)
        assert (await client.response()).status == 200
        server.state.drain_notice.set()  # its batch has not come yet
        await client.send(request())
        assert (await client.response()).status == 503
        assert await client.eof() == b""


async def test_an_upgrade_behind_a_request_that_is_being_answered_is_refused(serve: Serve) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await go_on.wait()
        await both(scope, receive, send)

    async with serve(app) as server, connect(server) as client:
        await client.send(GET + request())
        await started.wait()
        server.state.drain_notice.set()
        go_on.set()
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert await client.eof() == b""


async def test_a_connection_that_was_accepted_at_the_last_moment_is_closed(serve: Serve) -> None:
    async with serve(both) as server:
        server.state.drain_notice.set()
        async with connect(server) as client:
            assert await client.eof() == b""


async def test_a_handshake_that_waits_is_refused(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    app = Recorder(act)
    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        while not app.heard:
            await asyncio.sleep(0)
        ending = asyncio.create_task(server.server.finish())
        assert (await client.response()).status == 503
        client.writer.close()  # or the drain waits to its deadline for what it may still send
        assert (await app.disconnect())[0] == 1006
        await ending


async def test_what_does_not_end_is_cut_at_the_deadline(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    cancelled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serve(app, timeout_graceful_shutdown=0.3) as server, websocket(server) as client:
        began = time.monotonic()
        ending = asyncio.create_task(server.server.finish())
        assert await client.ended() == Ended(1012, "server going away")
        await ending
        assert 0.25 < time.monotonic() - began < 8  # ws_close_timeout is 10
        assert cancelled.is_set()
    assert "did not end in time" in caplog.text


async def test_a_second_signal_does_not_wait(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    async with serve(app, timeout_graceful_shutdown=60.0) as server, websocket(server) as client:
        ending = asyncio.create_task(server.server.finish())
        server.server.stop()
        await client.close_frame()
        server.server.stop()
        await asyncio.wait_for(ending, 5)


async def test_many_sockets_leave_in_batches(serve: Serve) -> None:
    """500 sockets in batches of 100, 50 ms apart on average: not all at the same moment."""
    async with serve(echo, timeout_graceful_shutdown=10.0) as server:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(websocket(server)) for _ in range(500)]
            ending = asyncio.create_task(server.server.finish())
            times: list[float] = []

            async def leave(client: object) -> None:
                assert (await client.close_frame()).code == 1012  # type: ignore[attr-defined]
                times.append(time.monotonic())
                await client.send(close(1012))  # type: ignore[attr-defined]

            await asyncio.gather(*map(leave, clients))
            await ending
    # There are 100 ms at least between the first and the last; what the clients of the first read
    # late, on a machine that stood still, is no more than one of the four intervals.
    assert max(times) - min(times) > 0.05
