"""Memory stays bounded in every direction, and one bad peer does not disturb another."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.server.flow import Flushable, Flusher
from tests.applications import Deaf, echo
from tests.conftest import Serve, Served
from tests.waiting import stable
from tests.wire import (
    BINARY,
    CONT,
    PING,
    PONG,
    TEXT,
    Wire,
    close,
    connect,
    frame,
    request,
    text,
    websocket,
)

pytestmark = [pytest.mark.anyio, pytest.mark.every_engine]

PART = 64 * 1024


def resident() -> int:
    """Return this process's memory, in bytes; client and server are both in it."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def narrow(serve: Serve, app: Any) -> AsyncIterator[Wire]:
    """A WebSocket to the server on a line that holds little: 64 KiB at each end, not megabytes."""
    async with serve(app) as server:
        fd = server.server.sockets[0].fileno()
        with socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PART)
        async with websocket(server) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PART)
            yield client


@pytest.mark.parametrize(
    ("message", "count"),
    [(text("x" * 100), 100_000), (frame(BINARY, b"x" * 500_000), 60), (text("ab"), 1_000_000)],
    ids=["small", "large", "tiny"],
)
async def test_a_flood_at_an_app_that_does_not_receive(
    serve: Serve, engine: str, message: bytes, count: int
) -> None:
    if engine != "native" and len(message) < 1000:
        count //= 4  # still many times the bound, at a tenth of our own engine's speed
    app = Deaf()
    flood = message * count
    taken = 0

    async def pour() -> None:
        nonlocal taken
        for start in range(0, len(flood), PART):
            client.writer.write(flood[start : start + PART])
            await client.writer.drain()
            taken = start + PART

    before = resident()
    async with narrow(serve, app) as client:
        pouring = asyncio.create_task(pour())
        assert await stable(lambda: taken) < 1_000_000 + 4 * len(message)
        assert resident() - before < 12_000_000
        app.go_on.set()
        await pouring
        client.writer.write(close(1000))
        assert await app.disconnect(within=20) == (1000, "")
        assert len(app.messages) == count


async def test_send_waits_for_a_reader_that_stops(serve: Serve) -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()
        await send({"type": "websocket.accept"})
        while sent < 300:
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})
            sent += 1

    async with serve(app, ws_ping_interval=0) as server:
        async with websocket(server, receive_buffer=4096) as client:
            stalled = await stable(lambda: sent)
            # ws_send_buffer, FLUSH_BYTES, the kernel's buffer (4 MiB at most by default).
            assert stalled * 100_000 < 1_048_576 + 200_000 + 6_500_000
            for _ in range(300):
                assert len(await client.message()) == 100_000


async def test_send_waits_for_a_reader_that_stopped_before_the_upgrade(serve: Serve) -> None:
    """The transport was full of the response before the handshake; nobody tells it again."""
    size, sent = 8_000_000, 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x" * size})
            return
        await send({"type": "websocket.accept"})
        while sent < 300:
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})
            sent += 1

    async with serve(app, ws_ping_interval=0) as server:
        async with connect(server, receive_buffer=4096) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" + request())
            assert await stable(lambda: sent) == 0
            assert len((await client.response()).body) == size
            assert (await client.response()).status == 101
            for _ in range(300):
                assert len(await client.message()) == 100_000


async def test_a_send_that_is_cancelled_while_it_waits_is_not_sent(serve: Serve) -> None:
    timed_out = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        number = 0
        while True:
            try:
                message = {"type": "websocket.send", "text": f"{number} " + "x" * 100_000}
                await asyncio.wait_for(send(message), 0.3)
            except TimeoutError:
                timed_out.set()
                break
            number += 1
        await send({"type": "websocket.close", "code": 4000, "reason": f"{number}"})

    async with serve(app) as server, websocket(server, receive_buffer=4096) as client:
        await asyncio.wait_for(timed_out.wait(), 10)
        received = 0
        while (message := await client.frame()).opcode == TEXT:
            assert message.payload.startswith(f"{received} ".encode())
            received += 1
        assert message.payload[2:].decode() == str(received)


SIZE = 8_000_000


async def crawl(client: Wire) -> int:
    """Read for a second, so slowly that no room in the kernel's buffer is seen meanwhile."""
    for _ in range(20):
        await client.reader.readexactly(5_000)
        await asyncio.sleep(0.05)
    return 20 * 5_000


@contextlib.asynccontextmanager
async def last_response(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Served, Wire]]:
    """A connection's last response, of SIZE bytes, its head read; a peer that stops is soon cut."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * SIZE})

    monkeypatch.setattr("longwire.server.http.CLOSE_TIMEOUT", 0.2)
    async with serve(app) as server, connect(server, receive_buffer=4096) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        yield server, client


async def test_a_slow_reader_gets_the_whole_last_response(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with last_response(serve, monkeypatch) as (_, client):
        await client.reader.readexactly(SIZE - await crawl(client))
        assert await client.eof() == b""


async def test_a_reader_that_stops_at_the_last_response_is_cut(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with last_response(serve, monkeypatch) as (server, _):
        await asyncio.wait_for(server.state.idle.wait(), 5)


async def test_a_slow_reader_gets_the_whole_denial(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401})
        await send({"type": "websocket.http.response.body", "body": b"x" * SIZE})

    async with serve(app, ws_close_timeout=0.2) as server:
        async with connect(server, receive_buffer=4096) as client:
            await client.send(request())
            await client.reader.readuntil(b"\r\n\r\n")
            await client.reader.readexactly(SIZE - await crawl(client))
            assert await client.eof() == b""


async def test_a_slow_reader_gets_what_was_sent_before_the_close(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": b"x" * SIZE})
        await send({"type": "websocket.close", "code": 4000})

    async with serve(app, ws_close_timeout=0.2, ws_send_buffer=SIZE * 2) as server:
        async with websocket(server, receive_buffer=4096) as client:
            header = 10
            await client.reader.readexactly(SIZE + header - await crawl(client))
            assert (await client.close_frame()).code == 4000
            await client.send(close(4000))
            assert await client.eof() == b""


async def test_one_read_is_parsed_in_slices(serve: Serve) -> None:
    """256 KiB of seven-byte frames would be two megabytes of messages for one that is deaf."""
    app = Deaf()
    async with serve(app) as server, connect(server) as client:
        await client.send(request("/"))
        assert (await client.response()).status == 101
        client.writer.write(text("x") * 150_000)
        (session,) = server.state.connections
        assert 0 < await stable(lambda: session.figures()[0]) <= 64 * 1024 // 7 + 1
        client.reset()


async def test_an_inbox_that_was_full_outlives_its_connection(serve: Serve) -> None:
    app = Deaf()
    # What is not read tells of no loss: only a write, of a ping, does.
    async with serve(app, ws_max_queue=2, ws_ping_interval=0.1) as server:
        async with connect(server) as client:
            await client.send(request("/") + text("x") * 40)
            assert (await client.response()).status == 101
            (session,) = server.state.connections
            while session.figures()[0] < 40:
                await asyncio.sleep(0.01)
            client.reset()
        while server.state.connections:
            await asyncio.sleep(0.01)
        app.go_on.set()
        assert (await app.disconnect())[0] == 1006
        assert app.messages == ["x"] * 40


async def test_a_length_without_end_behind_what_is_kept(serve: Serve) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with serve(echo, ws_max_size=0) as server, connect(server) as client:
        data = frame(BINARY, b"x" * 100) * 600 + frame(BINARY, b"", length=2**63 - 1)
        await client.send(request("/") + data + b"y" * 100_000)
        assert (await client.response()).status == 101
        for _ in range(600):
            assert await client.message() == b"x" * 100
        (session,) = server.state.connections
        before = await stable(lambda: session.figures()[1])
        await client.send(b"more")
        assert await stable(lambda: session.figures()[1]) == before + 4
        client.reset()
    assert reported == []


async def test_a_flush_that_raises_is_reported_and_drops_no_other() -> None:
    flushed = []

    class Connection(Flushable):
        def __init__(self, name: str) -> None:
            self.name = name

        def flush(self) -> None:
            if self.name == "bad":
                raise ZeroDivisionError
            flushed.append(self.name)

    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    flusher = Flusher(loop)
    for name in ("a", "bad", "b", "bad", "c"):
        flusher.add(Connection(name))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert flushed == ["a", "b", "c"]
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError] * 2


async def test_pings_whose_pongs_are_not_read(serve: Serve) -> None:
    before = resident()
    async with serve(echo, ws_ping_interval=0) as server:
        async with websocket(server, receive_buffer=4096) as client:
            burst = frame(PING, b"x" * 125) * 1000
            for _ in range(300):  # 39 MB of pings
                client.writer.write(burst)
                await asyncio.wait_for(client.writer.drain(), 10)
            assert resident() - before < 12_000_000
            assert (await client.frame()).opcode == PONG


async def test_a_million_empty_fragments_end_soon_and_stall_nobody(serve: Serve) -> None:
    async with serve(echo) as server, websocket(server) as good, websocket(server) as bad:
        bad.writer.write(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 1_300_000)
        ending = asyncio.create_task(bad.close_frame())
        worst = 0.0  # of our own time: what others have of the processor meanwhile stalls nobody
        while not ending.done():
            began = time.process_time()
            await good.send(text("hello"))
            assert await good.message() == "hello"
            worst = max(worst, time.process_time() - began)
        assert (await ending).code == 1009
        assert worst < 1


async def test_a_deflate_bomb(serve: Serve) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    megabyte = compressor.compress(b"\x00" * 1_000_000) + compressor.flush(zlib.Z_FULL_FLUSH)
    bomb = megabyte * 500  # each is deflated without the ones before it
    assert len(bomb) < 1_000_000
    before = resident()
    async with serve(echo, ws_max_size=1_000_000) as server, connect(server) as client:
        await client.send(request(headers={"Sec-WebSocket-Extensions": "permessage-deflate"}))
        await client.response()
        await client.send(frame(TEXT, bomb[:-4], rsv=4))
        assert (await client.close_frame()).code == 1009
        assert resident() - before < 12_000_000


async def test_half_open_handshakes(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the ten thousand that wait for the same limit of descriptors in one process."""
    count = 1000
    monkeypatch.setattr("longwire.server.http.CLOSE_TIMEOUT", 0.2)  # they do not hang up
    async with serve(echo, timeout_headers=1.0) as server:
        before = resident()
        writers = []
        for _ in range(count):
            _, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nX-")
            writers.append(writer)
        await stable(lambda: len(server.state.connections))
        assert resident() - before < count * 60_000  # client's side included
        await asyncio.wait_for(server.state.idle.wait(), 10)
        for writer in writers:
            writer.close()
