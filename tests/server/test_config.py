"""Options at the ends of what they may be: the server serves with each of them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from longwire.server.config import Config
from tests.applications import echo
from tests.conftest import Serve
from tests.wire import text, websocket

pytestmark = [pytest.mark.anyio, pytest.mark.every_engine]

ELSEWHERE = {"port", "workers", "ssl_cert_reqs"}  # not options of the one server that runs here
LARGEST = {
    item.name: item.metadata["high"]
    for item in fields(Config)
    if item.metadata["low"] is not None and item.name not in ELSEWHERE
}


@pytest.mark.parametrize("name", LARGEST)
async def test_a_number_at_its_largest_is_served_with(serve: Serve, name: str) -> None:
    async with serve(echo, **{name: LARGEST[name]}) as server:
        async with websocket(server) as client:
            await client.send(text("x"))
            assert await client.message() == "x"
        async with websocket(
            server, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}
        ) as client:
            await client.send(text("x"))
            assert await client.frame()
