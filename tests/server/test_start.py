"""From the start to the end of the process: signals while it starts, the time its end has."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.errors import BindError
from longwire.server.config import Config
from longwire.server.server import Server
from tests.applications import echo
from tests.conftest import Serve
from tests.process import running
from tests.wire import text, websocket

HANGING = """
import asyncio
async def app(scope, receive, send):
    await receive()
    print("starting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaning up", flush=True)
        await asyncio.sleep({seconds})
        print("cleaned up", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_start_up_that_hangs(tmp_path: Path, number: int) -> None:
    (tmp_path / "hanging.py").write_text(HANGING.format(seconds=0))
    with running("hanging:app", "--port=0", cwd=tmp_path) as process:
        process.wait_for("starting")
        process.signal(number)
        assert process.exit_status() == 0
    assert process.lines[1:] == [
        "cleaning up",
        "cleaned up",
        "INFO     stopped before the start-up was done",
    ]


def test_a_second_signal_does_not_wait_for_the_clean_up(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(HANGING.format(seconds=3600))
    with running("hanging:app", "--port=0", cwd=tmp_path) as process:
        process.wait_for("starting")
        process.signal(signal.SIGTERM)
        process.wait_for("cleaning up")
        process.signal(signal.SIGTERM)
        assert process.exit_status() == 0
    assert process.lines[-1].endswith("stopped before the start-up was done")


@pytest.mark.anyio
async def test_the_shutdown_has_time_when_the_drain_has_none(serve: Serve) -> None:
    closed = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        closed.append("files")
        await send({"type": "lifespan.shutdown.complete"})

    async with serve(app, lifespan="on", timeout_graceful_shutdown=0) as server:
        assert await server.server.finish() == 0
        assert closed == ["files"]


def bound(port: int = 0) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


@pytest.mark.anyio
async def test_an_address_taken_during_the_start_up_is_said_and_no_listener_is_left(
    serve: Serve,
) -> None:
    with contextlib.ExitStack() as stack:
        mine = [stack.enter_context(bound()) for _ in range(2)]

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            # Two sockets that are only bound may share an address; who listens first has it.
            stack.enter_context(bound(mine[1].getsockname()[1])).listen()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        with pytest.raises(BindError, match="cannot be listened on: Address already in use"):
            await Server(Config(app, lifespan="on"), mine).start()
        async with serve(echo) as server, websocket(server) as client:
            await client.send(text("hello"))
            assert await client.message() == "hello"


@pytest.mark.anyio
async def test_the_end_leaves_a_successors_unix_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    first = Server(Config(echo, uds=str(path), lifespan="off"))
    await first.start()
    first.stop_accepting()
    second = Server(Config(echo, uds=str(path), lifespan="off"))
    await second.start()
    await first.finish()
    is_there = path.is_socket()
    await second.finish()
    assert (is_there, path.exists()) == (True, False)
