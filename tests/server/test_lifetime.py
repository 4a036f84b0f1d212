"""--ws-max-lifetime: an old WebSocket is sent away, and closed as well as any other."""

from __future__ import annotations

import asyncio
import logging

import pytest

from longwire.server.lifetime import JITTER, expiry
from longwire.server.timers import NEVER
from tests.applications import Deaf, Recorder, echo
from tests.conftest import Serve
from tests.wire import CLOSE, PING, PONG, Ended, close, frame, text, websocket

pytestmark = [pytest.mark.anyio, pytest.mark.every_engine]

TOO_OLD = Ended(1012, "maximum lifetime")


@pytest.mark.parametrize("ping_interval", [0, 20.0])
async def test_it_is_closed_with_a_close_handshake(
    serve: Serve, caplog: pytest.LogCaptureFixture, ping_interval: float
) -> None:
    app = Recorder()
    with caplog.at_level(logging.INFO):
        async with serve(app, ws_max_lifetime=0.3, ws_ping_interval=ping_interval) as server:
            began = asyncio.get_running_loop().time()
            async with websocket(server) as client:
                assert await client.close_frame() == TOO_OLD
                assert asyncio.get_running_loop().time() - began > 0.2
                await client.send(close(1012))
                assert await client.eof() == b""
                assert (await app.disconnect())[0] == 1012
                assert len(server.state.timers) == 0
    assert "closed 1012 by the server ('maximum lifetime')" in caplog.text


async def test_pings_and_messages_neither_stop_nor_lengthen_it(serve: Serve) -> None:
    options = {"ws_max_lifetime": 1.0, "ws_ping_interval": 0.05, "ws_ping_timeout": 60}
    async with serve(echo, **options) as server, websocket(server) as client:
        pings = 0
        async with asyncio.timeout(10):  # each ping would lengthen it without an end
            while (received := await client.frame()).opcode != CLOSE:
                if received.opcode == PING:
                    pings += 1
                    await client.send(frame(PONG, received.payload) + text("x"))
        assert received.payload[2:] == b"maximum lifetime"
        assert pings > 0


async def test_keepalive_still_judges_before_it(serve: Serve) -> None:
    options = {"ws_max_lifetime": 60, "ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}
    async with serve(Recorder(), **options) as server, websocket(server) as client:
        assert (await client.close_frame()).code == 1011


async def test_a_client_that_does_not_answer_is_cut(serve: Serve) -> None:
    options = {"ws_max_lifetime": 0.1, "ws_close_timeout": 0.2}
    async with serve(Recorder(), **options) as server, websocket(server) as client:
        assert await client.ended() == TOO_OLD


async def test_one_whose_application_does_not_receive(serve: Serve) -> None:
    app = Deaf()
    async with (
        serve(app, ws_max_lifetime=0.3, ws_max_queue=1) as server,
        websocket(server) as client,
    ):
        await client.send(text("x") * 100)
        assert await client.close_frame() == TOO_OLD
        await client.send(close(1012))
        assert await client.eof() == b""
        app.go_on.set()
        assert (await app.disconnect())[0] == 1012


async def test_by_default_nothing_waits(serve: Serve) -> None:
    async with serve(echo, ws_ping_interval=0) as server, websocket(server):
        assert len(server.state.timers) == 0


def test_they_do_not_end_together() -> None:
    ends = [expiry(1000.0, 100.0) for _ in range(1000)]
    assert min(ends) >= 1000 + 100 * (1 - JITTER)
    assert max(ends) <= 1100
    assert max(ends) - min(ends) > 5
    assert expiry(1000.0, None) == expiry(1000.0, 0) == NEVER
