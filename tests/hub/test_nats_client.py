"""What the broker uses of nats-py beyond its documents: a version that does without fails here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tracemalloc
from collections.abc import AsyncIterator
from urllib.parse import unquote

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg

from longwire.hub.brokers.nats.client import Client
from longwire.hub.brokers.nats.options import Options, Server
from longwire.hub.brokers.nats.subjects import MAX_TOKEN, token
from tests.contracts.nats_server import CREDENTIALS, NatsServer, nats_setting

pytestmark = pytest.mark.anyio

ROOMS = 2000


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    async with nats_setting() as setting:
        yield setting.server


async def connected(server: NatsServer, got: list[Msg]) -> Client:
    client = Client(got.append, needs_tls=False)
    await client.open(Server("127.0.0.1", server.port, *CREDENTIALS), "test", 5)
    return client


async def all_of(got: list[Msg], count: int) -> None:
    async with asyncio.timeout(10):
        while len(got) < count:
            await asyncio.sleep(0.01)


async def test_a_subscription_costs_no_task_and_little_memory(server: NatsServer) -> None:
    got: list[Msg] = []
    client = await connected(server, got)
    tasks = len(asyncio.all_tasks())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        subscriptions = [await client.listen(f"room.{i}") for i in range(ROOMS)]
        each = (tracemalloc.get_traced_memory()[0] - before) / ROOMS
    finally:
        tracemalloc.stop()
    assert len(asyncio.all_tasks()) == tasks
    assert each < 1000
    assert len(subscriptions) == ROOMS
    await client.dispose(at_once=False)


async def test_messages_come_in_order_over_all_subscriptions(server: NatsServer) -> None:
    got: list[Msg] = []
    client = await connected(server, got)
    for i in range(10):
        await client.listen(f"room.{i}")
    for i in range(1000):
        await client.publish(f"room.{i % 10}", str(i).encode(), headers={"N": str(i)})
    await all_of(got, 1000)
    assert [(m.subject, m.data, m.headers) for m in got] == [
        (f"room.{i % 10}", str(i).encode(), {"N": str(i)}) for i in range(1000)
    ]
    await client.dispose(at_once=False)


@pytest.mark.parametrize(
    "headers",
    [
        b"NATS/1.0 \xff\xff\xff\r\n\r\n",
        b"NATS/1.0 503 \xff\r\nA: b\r\n\r\n",
        b"NATS/1.0",
        b"NATS/1.0\r\n\xff: \xff\r\n:\r\nx\r\n\r\n",
    ],
)
async def test_headers_of_a_stranger_end_nothing(server: NatsServer, headers: bytes) -> None:
    got: list[Msg] = []
    client = await connected(server, got)
    await client.listen("room.a")
    await client.publish("room.a", b"before")
    await all_of(got, 1)
    await asyncio.to_thread(server.publish, [("room.a", headers, b"rubbish")])
    await client.publish("room.a", b"after")
    await all_of(got, 3)
    assert [message.data for message in got] == [b"before", b"rubbish", b"after"]
    await client.dispose(at_once=False)


async def test_the_end_of_the_server_is_the_end_of_the_connection(server: NatsServer) -> None:
    client = await connected(server, [])
    await asyncio.to_thread(server.kill)
    assert await asyncio.wait_for(client.lost, 5)
    await client.dispose(at_once=True)


async def test_a_connection_that_nobody_reads_can_be_given_up(server: NatsServer) -> None:
    """Its peer is there and takes nothing: closing alone would wait for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = Client(lambda message: None, needs_tls=False)
        opening = asyncio.create_task(client.open(Server("127.0.0.1", port), "test", 5))
        peer, _ = await asyncio.to_thread(silent.accept)
        with peer:
            peer.sendall(b'INFO {"headers":true,"max_payload":1048576}\r\n')
            await asyncio.to_thread(peer.recv, 4096)
            peer.sendall(b"PONG\r\n")
            await opening
            for _ in range(64):
                publishing = asyncio.create_task(client.publish("a", bytes(1_000_000)))
                await asyncio.wait({publishing}, timeout=0.01)
                publishing.cancel()
            async with asyncio.timeout(10):
                await client.dispose(at_once=True)
            peer.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                while await asyncio.to_thread(peer.recv, 1 << 20):
                    pass  # what the buffers had, and then an end


async def test_tls_is_not_left_out_and_no_credentials_are_sent(server: NatsServer) -> None:
    options = Options(f"tls://tester:secret@127.0.0.1:{server.port}")
    assert options.is_tls
    client = Client(lambda message: None, needs_tls=True)
    sent: list[bytes] = []
    client._connect_command = lambda: sent.append(b"") or b""  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(nats.errors.Error, match="offers no TLS"):
        await client.open(options.servers()[0], "test", 5)
    assert sent == []
    await client.dispose(at_once=True)


def test_servers_of_an_address() -> None:
    servers = Options("nats://me:p%40w@a,b:5,you@[::1]:6/?prefix=x").servers()
    assert [(s.host, s.port, s.user, s.password) for s in servers] == [
        ("a", 4222, "me", "p@w"), ("b", 5, "me", "p@w"), ("::1", 6, "you", None)
    ]  # fmt: skip
    assert "p@w" not in repr(servers)
    assert Options("nats://me:p%40w@a,b:5").address == "nats://a:4222,b:5"


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=60)


@given(NAMES)
def test_a_name_is_one_token_and_can_be_read_back(name: str) -> None:
    text = token(name)
    assert text.isascii()
    assert not set(text) & set(".*> \t\r\n")
    assert len(text) <= MAX_TOKEN
    assert unquote(text, errors="strict") == name


def test_a_name_that_is_too_long_is_still_its_own() -> None:
    tokens = {token("x" * 2000), token("x" * 2001), token("%%" + "x" * 64), token("x" * 1000)}
    assert len(tokens) == 4
    assert max(len(text) for text in tokens) <= MAX_TOKEN
