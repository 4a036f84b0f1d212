"""The metrics of several workers: one address, their sum, and counters that never go back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest

from tests import samples
from tests.cli.source import put, version
from tests.process import PATIENCE, Process, running
from tests.samples import Samples, named
from tests.wire import PING, PONG, Wire, close, frame, text, websocket

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

APP = """
import os

VERSION = 1

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": str(VERSION).encode()})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": str(os.getpid())})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    return tmp_path


def start(folder: Path, *options: str) -> AbstractContextManager[Process]:
    fixed = ("--port=0", "--metrics=0", "--no-access-log", "--lifespan=off")
    return running("served:app", *fixed, *(options or ("--workers=2",)), cwd=folder)


async def scrape(server: Process) -> Samples:
    url = server.wait_for(r"metrics on (http://127\.0\.0\.1:\d+/metrics)")[1]
    async with httpx.AsyncClient(timeout=10) as client:
        response = await client.get(url)
    assert response.status_code == 200
    return samples.read(response.text)


async def reach(server: Process, **expected: float) -> Samples:
    """Return the samples once they have these values."""
    until = time.monotonic() + PATIENCE
    while True:
        seen = await scrape(server)
        found = {key: seen.get(named(key)) for key in expected}
        if found == expected:
            return seen
        assert time.monotonic() < until, found
        await asyncio.sleep(0.02)


@asynccontextmanager
async def clients_of_both(server: Process) -> AsyncIterator[dict[int, list[Wire]]]:
    """Open WebSockets until each of two workers has at least two; by the worker's process."""
    parts = urlsplit(server.url)
    where = SimpleNamespace(host=parts.hostname, port=parts.port)
    clients: dict[int, list[Wire]] = {}
    async with AsyncExitStack() as stack:
        while len(clients) < 2 or min(map(len, clients.values())) < 2:
            client = await stack.enter_async_context(websocket(where))
            clients.setdefault(int(str(await client.message())), []).append(client)
        yield clients


def total(clients: dict[int, list[Wire]]) -> int:
    return sum(map(len, clients.values()))


async def test_a_scrape_is_the_sum_over_the_workers(folder: Path) -> None:
    with start(folder) as server:
        async with clients_of_both(server) as clients:
            count = total(clients)
            for client in [client for some in clients.values() for client in some]:
                await client.send(text("hello"))
                assert await client.message() == "hello"
            seen = await reach(
                server,
                connections__kind_websocket=count,
                websockets_opened_total=count,
                websocket_messages_total__direction_received=count,
                websocket_messages_total__direction_sent=2 * count,
                websocket_send_buffer_max_bytes=0,
                workers__stage_serving=2,
                workers__stage_starting=0,
                workers__stage_ending=0,
                workers_silent=0,
                draining=0,
            )
            assert not [key for key in seen if "restarts" in key and seen[key]]


async def test_the_round_trips_of_all_workers_are_one_histogram(folder: Path) -> None:
    name = "websocket_ping_round_trip_seconds"
    with start(folder, "--workers=2", "--ws-ping-interval=1") as server:
        async with clients_of_both(server) as clients:
            for client in [some[0] for some in clients.values()]:
                ping = await client.frame()
                assert ping.opcode == PING
                await client.send(frame(PONG, ping.payload))
            seen = await reach(server, **{f"{name}_count": 2})
            buckets = [seen[key] for key in seen if key.startswith(f"{name}_bucket")]
            assert buckets == sorted(buckets)
            assert buckets[-1] == 2
            assert seen[f"{name}_sum"] > 0


async def test_what_a_killed_worker_has_counted_stays(folder: Path) -> None:
    with start(folder) as server:
        async with clients_of_both(server) as clients:
            count = total(clients)
            await reach(server, websockets_opened_total=count)
            victim, left = clients
            os.kill(victim, signal.SIGKILL)
            await reach(
                server,
                websockets_opened_total=count,
                connections__kind_websocket=len(clients[left]),
                websocket_messages_total__direction_sent=count,
                worker_restarts_total__reason_lost=1,
                workers__stage_serving=2,
            )


async def test_what_replaced_workers_counted_to_their_end_stays(folder: Path) -> None:
    """Nobody scrapes between the first WebSocket and the end of the workers that had them."""
    with start(folder) as server:
        async with clients_of_both(server) as clients:
            count = total(clients)
            server.signal(signal.SIGHUP)
            for client in [client for some in clients.values() for client in some]:
                assert (await client.close_frame()).code == 1012
                await client.send(close(1012))
            await reach(
                server,
                websockets_opened_total=count,
                websocket_closes_total__code_1012__by_server=count,
                connections__kind_websocket=0,
                worker_restarts_total__reason_reload=2,
                workers__stage_serving=2,
                workers__stage_ending=0,
            )


async def test_no_counter_goes_back_while_workers_come_and_go(folder: Path) -> None:
    with start(folder, "--workers=2", "--limit-max-requests=20") as server:
        last: Samples = {}
        url = server.url
        async with httpx.AsyncClient() as client:
            while last.get('worker_restarts_total reason="requests"', 0) < 3:
                for _ in range(10):
                    assert (await client.get(url, headers={"connection": "close"})).text == "1"
                seen = await scrape(server)
                for key, value in seen.items():
                    if "_total" in key:
                        assert value >= last.get(key, 0), key
                last = seen


async def test_reload_has_metrics_too(folder: Path) -> None:
    with start(folder, "--reload", "--reload-delay=0.05") as server:
        url = server.url
        assert (await asyncio.to_thread(httpx.get, url)).text == "1"
        await reach(server, http_requests_total__status_2xx=1)
        put(folder, version(APP, 2))
        await reach(
            server,
            worker_restarts_total__reason_reload=1,
            workers__stage_serving=1,
            workers__stage_ending=0,
            http_requests_total__status_2xx=1,
        )
        assert (await asyncio.to_thread(httpx.get, url)).text == "2"
        await reach(server, http_requests_total__status_2xx=2)


async def test_a_worker_that_does_not_answer_is_left_out_but_for_its_counters(
    folder: Path,
) -> None:
    with start(folder, "--workers=2", "--timeout-worker-healthcheck=30") as server:
        async with clients_of_both(server) as clients:
            count = total(clients)
            await reach(server, websockets_opened_total=count, workers_silent=0)
            stopped, other = clients
            os.kill(stopped, signal.SIGSTOP)
            try:
                # Each scrape ends long before the health check, or its client would give it up.
                silence = {
                    "workers_silent": 1,
                    "websockets_opened_total": count,
                    "connections__kind_websocket": len(clients[other]),
                }
                await asyncio.gather(reach(server, **silence), reach(server, **silence))
            finally:
                os.kill(stopped, signal.SIGCONT)
            await reach(server, workers_silent=0, connections__kind_websocket=count)


FAILING = """
import os
import longwire.server.worker as worker

collect = worker.collect

async def collect_unless_told(state):
    if os.path.exists("fail"):
        raise ValueError("a collector that fails")
    return await collect(state)

worker.collect = collect_unless_told
"""


async def test_a_worker_whose_figures_fail_is_silent_until_they_do_not(folder: Path) -> None:
    """A collector that raises: said once a scrape, and it does not keep the next away."""
    (folder / "served.py").write_text(FAILING + APP)
    with start(folder, "--reload") as server:
        await asyncio.to_thread(httpx.get, server.url)
        await reach(server, workers_silent=0, http_requests_total__status_2xx=1)
        (folder / "fail").touch()
        seen = await reach(server, workers_silent=1)
        assert seen['http_requests_total status="2xx"'] == 1
        server.wait_for("the metrics cannot be told")
        (folder / "fail").unlink()
        await reach(server, workers_silent=0)


async def test_the_drain_of_all_workers_can_be_watched(folder: Path) -> None:
    with start(folder) as server:
        async with clients_of_both(server) as clients:
            server.signal(signal.SIGTERM)
            everyone = [client for some in clients.values() for client in some]
            for client in everyone:
                assert (await client.close_frame()).code == 1012
            await reach(
                server,
                draining=2,
                drain_connections_left=len(everyone),
                workers__stage_ending=2,
                workers__stage_serving=0,
            )
            for client in everyone:
                await client.send(close(1012))
            assert await asyncio.to_thread(server.exit_status) == 0
