"""Who does not read costs the others no time, the process bounded memory, and is told so."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longwire.hub import Hub, OutboxOptions, Overflow
from tests.hub.conftest import Host, RunHost
from tests.hub.connections import until
from tests.wire import BINARY, CLOSE, TEXT, Wire, close, connect, request, websocket

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SIZE = 64 * 1024
OUTBOX = 16


def resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def numbered(number: int) -> bytes:
    return number.to_bytes(4, "big") + b"x" * (SIZE - 4)


async def read_to_the_end(slow: Wire) -> tuple[list[int], int | None]:
    """Return the numbers that a client reads in the end, and the code of the close, if it came."""
    numbers: list[int] = []
    while True:
        try:
            frame = await slow.frame()
        except (asyncio.IncompleteReadError, ConnectionError):
            return numbers, None
        if frame.opcode == CLOSE:
            code = int.from_bytes(frame.payload[:2], "big")
            slow.writer.write(close(code))
            return numbers, code
        if frame.opcode == TEXT:  # the last word
            return numbers, None
        if frame.opcode == BINARY:
            numbers.append(int.from_bytes(frame.payload[:4], "big"))


@contextlib.asynccontextmanager
async def stopped(host: Host) -> AsyncIterator[Wire]:
    """A client that has joined, and does not read."""
    before = len(host.app.members)
    async with websocket(host, receive_buffer=4096) as slow:
        await until(lambda: len(host.app.members) > before)
        await host.app.members[-1].join("lobby")
        yield slow


@pytest.mark.parametrize("policy", Overflow)
async def test_what_a_slow_reader_reads_in_the_end(run: RunHost, policy: Overflow) -> None:
    """Three keys in turn; it stops until 400 messages of 64 KiB are published, and reads then."""
    outbox = OutboxOptions(OUTBOX, 100 * SIZE, policy)
    hub = Hub(outbox=outbox)
    async with hub, run(hub, ws_ping_interval=0) as host:
        async with stopped(host) as slow:
            member = host.app.members[0]
            for number in range(400):
                await hub.publish("lobby", numbered(number), key=str(number % 3))
                await asyncio.sleep(0)
                assert member.outbox.waiting <= OUTBOX
            dropped = member.dropped
            assert dropped > 0
            assert hub.counters.dropped == {policy: dropped}
            if policy is not Overflow.DISCONNECT:
                reading = asyncio.create_task(read_to_the_end(slow))
                await until(lambda: not member.outbox.waiting)
                await member.send("the last word")
                numbers, code = await reading
            else:
                numbers, code = await read_to_the_end(slow)
            assert numbers == sorted(set(numbers))
            first = next(n for n in range(400) if n not in numbers[n : n + 1])
            if policy is Overflow.DISCONNECT:
                assert code == 1013
                assert numbers == list(range(len(numbers)))  # without a hole, up to the close
                await until(lambda: hub.members("lobby") == [])
                await until(lambda: host.app.ended == 1)
                return
            assert code is None
            assert len(numbers) + dropped == 400
            if policy is Overflow.DROP_OLDEST:
                assert numbers[first:] == list(range(400 - OUTBOX, 400))
            elif policy is Overflow.DROP_NEWEST:
                assert numbers == list(range(400 - dropped))
            else:
                assert numbers[-3:] == [397, 398, 399]
                assert len(numbers[first:]) <= 6  # a key whose turn it was has two


async def test_memory_is_bounded(run: RunHost) -> None:
    """40 that stop, 100 MiB published: what waits is shared, and given up."""
    hub = Hub(outbox=OutboxOptions(OUTBOX, 4 * SIZE, Overflow.DROP_OLDEST))
    async with hub, run(hub, ws_ping_interval=0) as host, contextlib.AsyncExitStack() as stack:
        for _ in range(40):
            await stack.enter_async_context(stopped(host))
        for number in range(300):  # the buffers of transports fill
            await hub.publish("lobby", numbered(number))
            await asyncio.sleep(0)
        before = resident()
        for number in range(1600):
            await hub.publish("lobby", numbered(number))
            if number % 10 == 0:
                await asyncio.sleep(0)
        assert resident() - before < 16 * 1024 * 1024
        assert all(0 < member.outbox.waiting <= 4 for member in host.app.members)
        for member in host.app.members:  # they never read: the end of the test does not wait
            await member.end()


async def deliveries(hub: Hub, readers: list[Wire], count: int) -> float:
    """Return the seconds until all readers have all of the messages."""

    async def read(reader: Wire) -> None:
        for number in range(count):
            assert int.from_bytes((await reader.frame()).payload, "big") == number

    start = time.perf_counter()
    reading = asyncio.gather(*map(read, readers))
    for number in range(count):
        await hub.publish("lobby", number.to_bytes(4, "big"))
        await asyncio.sleep(0)
    await reading
    return time.perf_counter() - start


def is_no_later(times: list[tuple[float, float]]) -> bool:
    """Return whether the best time beside somebody is about the best time alone."""
    alone = min(alone for alone, _ in times)
    beside = min(beside for _, beside in times)
    return beside < 3 * alone + 0.2


async def test_one_that_stops_delays_nobody_among_a_thousand(run: RunHost) -> None:
    """Their time with one that is full, against their time without, with a generous margin.

    Measured in turn, as a machine that is busy with something else takes its time with both.
    """
    hub = Hub(outbox=OutboxOptions(OUTBOX, overflow=Overflow.DROP_OLDEST))
    async with hub, run(hub, ws_ping_interval=0) as host, contextlib.AsyncExitStack() as stack:
        readers = []
        for _ in range(1000 if host.name == "longwire" else 300):
            reader = await stack.enter_async_context(connect(host))
            await reader.send(request())
            assert (await reader.response()).status == 101
            readers.append(reader)
        await until(lambda: len(host.app.members) == len(readers))
        for member in host.app.members:
            await member.join("lobby")
        await deliveries(hub, readers, 3)  # warm
        await stack.enter_async_context(stopped(host))
        slow = host.app.members[-1]
        while not slow.dropped:
            await slow.send(numbered(0))
            await asyncio.sleep(0)
        times: list[tuple[float, float]] = []
        while not times or not is_no_later(times):
            assert len(times) < 10, times
            await slow.leave("lobby")
            alone = await deliveries(hub, readers, 5)
            await slow.join("lobby")
            times.append((alone, await deliveries(hub, readers, 5)))
        assert slow.outbox.waiting
        await slow.end()


async def test_a_slow_peer_that_resumes_late_is_closed(
    run: RunHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a close is waited for: on other servers it waits until the peer reads."""
    monkeypatch.setattr("longwire.hub.outbox.CLOSE_TIMEOUT", 0.05)
    hub = Hub(outbox=OutboxOptions(2, overflow=Overflow.DISCONNECT))
    async with hub, run(hub, ws_ping_interval=0) as host:
        async with stopped(host) as slow:
            while hub.members("lobby"):
                await hub.publish("lobby", numbered(0))
                await asyncio.sleep(0.001)
            _, code = await read_to_the_end(slow)
            assert code == 1013
            await until(lambda: host.app.ended == 1)
