"""The PROXY protocol in clear, TLS behind it, and HTTP within: a balancer of TCP before our TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from tests.applications import Recorder, echo
from tests.conftest import Serve
from tests.server.test_proxy_protocol import BINARY, CLIENT, LINE, SERVER, eof_or_reset, v2
from tests.tls import certificate, encrypted
from tests.wire import BINARY as DATA
from tests.wire import Wire, close, connect, frame, request, text

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def options(tls: tuple[str, ssl.SSLContext]) -> dict[str, object]:
    return {"proxy_protocol": True, "ssl_certfile": tls[0]}


@pytest.fixture
def context(tls: tuple[str, ssl.SSLContext]) -> ssl.SSLContext:
    return tls[1]


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("header", [LINE, BINARY], ids=["text", "binary"])
async def test_the_scope_has_the_clients_address_and_tls(
    serve: Serve,
    options: dict[str, object],
    context: ssl.SSLContext,
    header: bytes,
    bytewise: bool,
) -> None:
    """Header and ClientHello in one segment, or each byte in its own."""
    app = Recorder()
    async with serve(app, **options) as server, connect(server) as outer:
        async with encrypted(outer, context, header, bytewise) as client:
            await client.send(request(), bytewise)
            assert (await client.response()).status == 101
            assert app.scope["client"] == CLIENT
            assert app.scope["server"] == SERVER
            assert app.scope["scheme"] == "wss"
            assert len(server.state.connections) == 1


async def test_a_conversation_that_begins_with_the_end_of_the_handshake(
    serve: Serve, options: dict[str, object], context: ssl.SSLContext
) -> None:
    """TLS's Finished, the request and a message in one segment; then more than buffers hold."""
    async with serve(echo, **options) as server, connect(server) as outer:
        async with encrypted(outer, context, LINE) as client:
            await client.send(request() + text("early"))
            assert (await client.response()).status == 101
            assert await client.message() == "early"
            payload = bytes(range(256)) * 8192
            await client.send(frame(DATA, payload))
            assert await client.message() == payload
            await client.send(close(4000))
            assert (await client.ended()).code == 4000
    assert not server.state.connections


async def test_the_proxys_own_connection_keeps_its_address(
    serve: Serve, options: dict[str, object], context: ssl.SSLContext
) -> None:
    app = Recorder()
    async with serve(app, **options) as server, connect(server) as outer:
        async with encrypted(outer, context, v2(b"", command=0x20)) as client:
            await client.send(request())
            assert (await client.response()).status == 101
            assert app.scope["client"] == outer.socket.getsockname()


async def test_requests_on_one_connection(
    serve: Serve, options: dict[str, object], context: ssl.SSLContext
) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"hello"})  # type: ignore[operator]

    async with serve(app, **options) as server, connect(server) as outer:
        async with encrypted(outer, context, LINE) as client:
            for _ in range(3):
                await client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                assert (await client.response()).body == b"hello"


async def test_tls_without_a_header_is_refused(
    serve: Serve,
    options: dict[str, object],
    context: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(Recorder(), **options) as server, connect(server) as outer:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with encrypted(outer, context):
                pass
        assert not server.state.connections
    (record,) = caplog.records
    assert "no PROXY protocol header" in record.getMessage()


async def test_no_tls_behind_the_header_is_cut(
    serve: Serve, options: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    app = Recorder()
    with caplog.at_level(logging.INFO, "longwire"):
        async with serve(app, **options) as server, connect(server) as client:
            await client.send(LINE + request())
            assert not (await eof_or_reset(client)).startswith(b"HTTP")
            while server.state.connections:
                await asyncio.sleep(0)
    assert app.scope == {}
    assert not [record for record in caplog.records if record.name.startswith("longwire")]


@pytest.mark.parametrize("sent", [LINE, LINE + b"\x16\x03\x01"], ids=["nothing", "a part"])
async def test_the_handshake_has_its_time(
    serve: Serve, options: dict[str, object], sent: bytes
) -> None:
    async with serve(Recorder(), timeout_headers=0.3, **options) as server:
        async with connect(server) as client:
            await client.send(sent)
            await eof_or_reset(client)
            while server.state.connections:
                await asyncio.sleep(0)


@pytest.mark.parametrize("sent", [LINE, LINE + b"\x16\x03\x01"], ids=["nothing", "a part"])
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_a_client_that_leaves_during_the_handshake_is_forgotten(
    serve: Serve, options: dict[str, object], sent: bytes, is_reset: bool
) -> None:
    async with serve(Recorder(), **options) as server:
        async with connect(server) as client:
            await client.send(sent)
            while not server.state.connections:
                await asyncio.sleep(0)
            if is_reset:
                client.reset()
        while server.state.connections:
            await asyncio.sleep(0)


async def test_a_handshake_that_waits_is_cut_by_the_drain(
    serve: Serve, options: dict[str, object]
) -> None:
    patient = {"timeout_graceful_shutdown": 60.0, "timeout_headers": 60.0, **options}
    async with serve(Recorder(), **patient) as server:
        async with connect(server) as client:
            await client.send(LINE + b"\x16\x03\x01")
            while not server.state.connections:
                await asyncio.sleep(0)
            await asyncio.wait_for(server.server.finish(), 10)
            await eof_or_reset(client)


async def test_a_balancer_on_a_unix_socket(
    serve: Serve, options: dict[str, object], context: ssl.SSLContext, tmp_path: Path
) -> None:
    app = Recorder()
    path = str(tmp_path / "app.sock")
    async with serve(app, uds=path, forwarded_allow_ips="unix", **options):
        outer = Wire(*await asyncio.open_unix_connection(path))
        async with encrypted(outer, context, LINE) as client:
            await client.send(request())
            assert (await client.response()).status == 101
            assert app.scope["client"] == CLIENT
        outer.writer.close()
