"""A drain of ten thousand sockets, against the real command."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import pytest

from tests.process import running
from tests.wire import close, request

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SOCKETS = 10_000
DEADLINE = 20.0

APP = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
"""


class Client(asyncio.Protocol):
    """One socket: shakes hands, and answers the server's close frame as a browser does."""

    def __init__(self, closes: list[tuple[float, int]], opened: asyncio.Semaphore) -> None:
        self.closes = closes
        self.opened = opened
        self.is_open = False
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(request())

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            assert data.startswith(b"HTTP/1.1 101"), data
            self.is_open = True
            self.opened.release()
            return
        assert data[0] == 0x88, data  # a close frame, and nothing else
        code = int.from_bytes(data[2:4], "big")
        self.closes.append((time.monotonic(), code))
        self.transport.write(close(code))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


@pytest.fixture
def many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < SOCKETS + 100:
        pytest.skip(f"needs {SOCKETS} descriptors in a process; ulimit -Hn says {hard}")


async def test_every_one_of_many_is_told_1012_in_time_and_not_all_at_once(
    tmp_path: Path, many_descriptors: None
) -> None:
    (tmp_path / "served.py").write_text(APP)
    options = ("--no-access-log", "--backlog=4096", f"--timeout-graceful-shutdown={DEADLINE}")
    no_pings = "--ws-ping-interval=0"  # else the first is due before the last client is in
    with running("served:app", "--port=0", no_pings, *options, cwd=tmp_path) as server:
        parts = urlsplit(server.url)
        where = SimpleNamespace(host=parts.hostname, port=parts.port)
        closes: list[tuple[float, int]] = []
        opened = asyncio.Semaphore(0)
        loop = asyncio.get_running_loop()
        clients = []
        for _ in range(0, SOCKETS, 200):
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Client(closes, opened), where.host, where.port)
                    for _ in range(200)
                )
            )
            clients += [protocol for _, protocol in made]
            for _ in range(200):
                await opened.acquire()
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        await asyncio.wait([client.ended for client in clients], timeout=DEADLINE + 10)
        ended = time.monotonic()
        assert await asyncio.to_thread(server.exit_status) == 0
        assert not [line for line in server.lines if "cutting" in line], server.lines[-3:]
    assert Counter(code for _, code in closes) == {1012: SOCKETS}
    assert ended - started < DEADLINE
    times = sorted(at - started for at, _ in closes)
    # Clients that come back at once come back over the whole window, not in one wave.
    assert times[-1] - times[0] > 2
    # A wave is all of them in one half second. They are a thousand in each; a machine that stands
    # still for two seconds sees four thousand at once.
    busiest = max(Counter(int(at * 2) for at in times).values())
    assert busiest < SOCKETS / 2, Counter(int(at * 2) for at in times)
