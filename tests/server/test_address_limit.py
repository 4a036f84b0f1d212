"""Connections of one address: how many are served, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.server.address_limit import AddressLimit
from tests.applications import Recorder, echo
from tests.conftest import Serve
from tests.wire import Wire, close, connect, request, text, websocket

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"served"})


async def status(client: Wire, sent: bytes) -> int:
    await client.send(sent)
    return (await client.response()).status


@pytest.mark.anyio
async def test_requests_and_upgrades_over_it_are_429(serve: Serve) -> None:
    async with serve(app, limit_connections_per_address=2) as server:
        async with websocket(server) as first, connect(server) as second:
            assert await status(second, GET) == 200
            for sent in (GET, request()):
                async with connect(server) as third:
                    assert await status(third, sent) == 429
                    assert await third.eof() == b""
            assert await status(second, GET) == 200  # what has its place keeps it
            await first.send(text("still served"))
            assert await first.message() == "still served"
            await first.send(close())
            await first.ended()
            async with connect(server) as third:
                assert await status(third, GET) == 200
        await nothing_open(server)


@pytest.mark.anyio
async def test_who_found_no_place_may_find_one_later(serve: Serve) -> None:
    async with serve(app, limit_connections_per_address=1) as server:
        async with websocket(server) as first, connect(server) as second:
            while len(server.state.connections) < 2:
                await asyncio.sleep(0)
            await first.send(close())
            await first.ended()
            assert await status(second, request()) == 101
        await nothing_open(server)


@pytest.mark.anyio
async def test_addresses_are_counted_by_what_the_proxy_protocol_says(serve: Serve) -> None:
    options = {"proxy_protocol": True, "limit_connections_per_address": 1}
    async with serve(Recorder(), **options) as server, contextlib.AsyncExitStack() as stack:
        for number, expected in ((1, 101), (2, 101), (1, 429), (3, 101)):
            client = await stack.enter_async_context(connect(server))
            line = f"PROXY TCP4 203.0.113.{number} 192.0.2.1 1 2\r\n".encode()
            assert await status(client, line + request()) == expected


@pytest.mark.anyio
async def test_a_header_does_not_change_whose_connection_it_is(serve: Serve) -> None:
    async with serve(app, limit_connections_per_address=1) as server, websocket(server):
        async with connect(server) as second:
            more = b"X-Forwarded-For: 203.0.113.7\r\n"
            assert await status(second, request(more=more)) == 429


async def nothing_open(server: Any) -> None:
    await asyncio.wait_for(server.state.idle.wait(), 5)
    assert len(server.state.address_limit) == 0


@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(st.sampled_from(["take", "move", "release"]), st.integers(0, 9)), max_size=60
    ),
)
def test_places_are_never_more_than_the_limit_and_never_lost(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    places = AddressLimit(limit)
    held: dict[int, str] = {}
    for step, connection in steps:
        host = f"192.0.2.{connection % 3}"
        if step == "take":
            is_free = list(held.values()).count(host) < limit
            assert places.take(connection, (host, 1)) == (connection in held or is_free)
            if is_free:
                held.setdefault(connection, host)
        elif step == "move" and connection + 10 not in held:
            places.move(connection, connection + 10)
            if connection in held:
                held[connection + 10] = held.pop(connection)
        elif step == "release":
            places.release(connection)
            held.pop(connection, None)
        assert len(places) == len(set(held.values()))


def test_an_ipv6_host_is_its_network_and_a_unix_peer_is_nobody() -> None:
    places = AddressLimit(1)
    assert places.take("a", ("2001:db8::1", 1))
    assert not places.take("b", ("2001:db8::ffff", 1))
    assert places.take("c", ("2001:db8:0:1::1", 1))
    assert places.take("d", ("192.0.2.1", 1))
    assert not places.take("e", ("::ffff:192.0.2.1", 1))
    assert all(places.take(name, None) for name in "fgh")
    assert len(places) == 3
