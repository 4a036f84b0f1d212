"""The PROXY protocol: its parser alone, at any split, and connections that begin with it."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.server.proxy_protocol import (
    MAX_HEADER_BYTES,
    V2_SIGNATURE,
    Forwarded,
    ProxyHeader,
    ProxyProtocolError,
    bytes_to_read,
    parse_proxy_header,
)
from tests.applications import Recorder, echo
from tests.conftest import Serve
from tests.unix import unix_exchange
from tests.wire import Wire, connect, request, text

CLIENT, SERVER = ("203.0.113.7", 4711), ("198.51.100.1", 443)
LINE = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"

TCP4, TCP6, UNIX = 0x11, 0x21, 0x31


def v2(body: bytes, kind: int = TCP4, command: int = 0x21, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return V2_SIGNATURE + bytes((command, kind)) + struct.pack("!H", size) + body


def binary(client: tuple[str, int], server: tuple[str, int], family: int = socket.AF_INET) -> bytes:
    hosts = b"".join(socket.inet_pton(family, address[0]) for address in (client, server))
    return hosts + struct.pack("!HH", client[1], server[1])


BINARY = v2(binary(CLIENT, SERVER))

# ---- the parser -----------------------------------------------------------------------------

ports = st.integers(0, 65535)
v4 = st.tuples(st.ip_addresses(v=4).map(str), ports)
v6 = st.tuples(
    st.ip_addresses(v=6)
    .filter(lambda host: isinstance(host, IPv6Address) and host.ipv4_mapped is None)
    .map(str),
    ports,
)


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, Forwarded | None]:
    is_v4 = draw(st.booleans())
    client, server = draw(v4 if is_v4 else v6), draw(v4 if is_v4 else v6)
    if draw(st.booleans()):
        line = f"PROXY TCP{4 if is_v4 else 6} {client[0]} {server[0]} {client[1]} {server[1]}\r\n"
        return line.encode(), Forwarded(client, server)
    more = draw(st.binary(max_size=50))
    if draw(st.booleans()):
        return v2(more, kind=draw(st.integers(0, 255)), command=0x20), None
    body = binary(client, server, socket.AF_INET if is_v4 else socket.AF_INET6)
    return v2(body + more, TCP4 if is_v4 else TCP6), Forwarded(client, server)


@given(headers(), st.binary(max_size=20))
def test_a_header_is_read_at_any_split(
    header: tuple[bytes, Forwarded | None], behind: bytes
) -> None:
    data, forwarded = header
    for end in range(len(data)):
        assert parse_proxy_header(data[:end]) is None
    for end in range(len(behind) + 1):
        assert parse_proxy_header(data + behind[:end]) == ProxyHeader(len(data), forwarded)


@given(headers(), st.binary(max_size=20), st.data())
def test_a_reader_can_stop_at_the_headers_end(
    header: tuple[bytes, Forwarded | None], behind: bytes, data: st.DataObject
) -> None:
    """However much of what it asks for comes at once."""
    whole, size = header[0] + behind, 0
    while parse_proxy_header(whole[:size]) is None:
        wanted = bytes_to_read(whole[:size])
        assert wanted > 0
        size += data.draw(st.integers(1, wanted))
    assert size == len(header[0])


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda rest: b"PROXY " + rest),
        st.binary(max_size=200).map(lambda rest: V2_SIGNATURE + rest),
    )
)
def test_anything_else_is_an_error_for_good(data: bytes) -> None:
    """The verdict on a part stands for all that begins with it."""
    verdict: object = None
    for end in range(len(data) + 1):
        try:
            header: object = parse_proxy_header(data[:end])
        except ProxyProtocolError:
            header = ProxyProtocolError
        assert verdict is None or header == verdict
        verdict = header


@pytest.mark.parametrize(
    "line",
    ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"],
)
def test_unknown_is_the_proxy_itself(line: str) -> None:
    assert parse_proxy_header(line.encode()) == ProxyHeader(len(line), None)


def test_binary_headers_beyond_tcp() -> None:
    unix = v2(b"\x00" * 216, kind=UNIX)
    assert parse_proxy_header(unix) == ProxyHeader(len(unix), Forwarded(None, None))
    unspecified = v2(b"anything", kind=0)
    assert parse_proxy_header(unspecified) == ProxyHeader(len(unspecified), None)


def test_ipv4_in_ipv6_is_ipv4() -> None:
    body = binary(("::ffff:203.0.113.7", 1), ("::ffff:198.51.100.1", 2), socket.AF_INET6)
    found = parse_proxy_header(v2(body, TCP6))
    assert found is not None
    assert found.forwarded == Forwarded(("203.0.113.7", 1), ("198.51.100.1", 2))


MALFORMED = {
    "no header": b"GET / HTTP/1.1\r\n\r\n",
    "lower case": b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "another protocol": b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "a field too few": b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
    "a field too many": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
    "two spaces": b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
    "another family": b"PROXY TCP4 ::1 ::2 1 2\r\n",
    "leading zeros in a host": b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
    "an interface": b"PROXY TCP6 fe80::1%x ::2 1 2\r\n",
    "leading zero in a port": b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
    "a port too high": b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
    "a port of many digits": b"PROXY TCP4 1.1.1.1 2.2.2.2 " + b"1" * 50 + b" 2\r\n",
    "a negative port": b"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
    "a line without an end": b"PROXY UNKNOWN " + b"x" * 107,
    "version 1 in binary": v2(binary(CLIENT, SERVER), command=0x11),
    "another command": v2(binary(CLIENT, SERVER), command=0x22),
    "datagrams": v2(binary(CLIENT, SERVER), kind=0x12),
    "too short": v2(b"\x00" * 11),
    "too short for IPv6": v2(b"\x00" * 35, kind=TCP6),
    "too long": v2(b"", length=MAX_HEADER_BYTES - 15),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: bytes) -> None:
    with pytest.raises(ProxyProtocolError):
        parse_proxy_header(data)


# ---- over a socket --------------------------------------------------------------------------


async def eof_or_reset(client: Wire) -> bytes:
    """Read to the end; a connection that is cut with unread bytes is reset."""
    try:
        return await client.eof()
    except ConnectionResetError:
        return b""


@pytest.mark.anyio
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("header", [LINE, BINARY], ids=["text", "binary"])
async def test_the_scope_has_the_clients_address(
    serve: Serve, header: bytes, bytewise: bool
) -> None:
    app = Recorder()
    async with serve(app, proxy_protocol=True) as server, connect(server) as client:
        await client.send(header + request(), bytewise)
        assert (await client.response()).status == 101
        assert app.scope["client"] == CLIENT
        assert app.scope["server"] == SERVER
        assert len(server.state.connections) == 1


@pytest.mark.anyio
async def test_messages_behind_the_header_and_the_handshake(serve: Serve) -> None:
    async with serve(echo, proxy_protocol=True) as server, connect(server) as client:
        await client.send(LINE + request() + text("early"))
        assert (await client.response()).status == 101
        assert await client.message() == "early"


@pytest.mark.anyio
async def test_the_proxys_own_connection_keeps_its_address(serve: Serve) -> None:
    app = Recorder()
    async with serve(app, proxy_protocol=True) as server, connect(server) as client:
        await client.send(v2(b"", command=0x20) + request())
        assert (await client.response()).status == 101
        assert app.scope["client"] == client.socket.getsockname()


@pytest.mark.anyio
@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1,203.0.113.0/24"])
async def test_headers_are_believed_of_the_one_it_is_for(serve: Serve, allowed: str) -> None:
    """The balancer forwards bytes: it has not seen the header, and does not vouch for it."""
    app = Recorder()
    async with (
        serve(app, proxy_protocol=True, forwarded_allow_ips=allowed) as server,
        connect(server) as client,
    ):
        await client.send(LINE + request(more=b"X-Forwarded-For: 192.0.2.9\r\n"))
        assert (await client.response()).status == 101
        assert app.scope["client"] == (("192.0.2.9", 0) if "203" in allowed else CLIENT)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["no header", "a port too high", "datagrams", "too long"])
async def test_anything_else_is_closed_with_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    app = Recorder()
    with caplog.at_level(logging.INFO):
        async with serve(app, proxy_protocol=True) as server, connect(server) as client:
            await client.send(MALFORMED[name] + request())
            assert await eof_or_reset(client) == b""
    (record,) = caplog.records
    assert "connection refused" in record.getMessage()
    assert app.scope == {}


@pytest.mark.anyio
async def test_strangers_are_not_heard(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        serve(Recorder(), proxy_protocol=True, forwarded_allow_ips="192.0.2.1") as server,
        connect(server) as client,
    ):
        await client.send(LINE + request())
        assert await eof_or_reset(client) == b""
    (record,) = caplog.records
    assert "not from a trusted proxy" in record.getMessage()


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [b"", LINE[:-1], BINARY[:-1]], ids=["nothing", "text", "binary"])
async def test_a_header_has_its_time(
    serve: Serve, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with (
        serve(Recorder(), proxy_protocol=True, timeout_headers=0.2) as server,
        connect(server) as client,
    ):
        await client.send(sent)
        assert await eof_or_reset(client) == b""
        assert not server.state.connections
    (record,) = caplog.records
    assert "in time" in record.getMessage()


@pytest.mark.anyio
async def test_a_look_whether_we_are_there_is_no_line(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(Recorder(), proxy_protocol=True) as server:
        for sent in (b"", b"PROXY TCP4"):
            async with connect(server) as client:
                await client.send(sent)
                client.writer.write_eof()
                assert await eof_or_reset(client) == b""
            assert len(caplog.records) == bool(sent)


@pytest.mark.anyio
async def test_one_that_waits_is_cut_by_the_drain(serve: Serve) -> None:
    async with serve(Recorder(), proxy_protocol=True) as server, connect(server) as client:
        await client.send(LINE[:10])
        while not server.state.connections:
            await asyncio.sleep(0)
        await server.server.finish()
        assert await eof_or_reset(client) == b""


@pytest.mark.anyio
@pytest.mark.parametrize("allowed", ["127.0.0.1", "unix"])
async def test_a_balancer_on_a_unix_socket(serve: Serve, tmp_path: Path, allowed: str) -> None:
    app = Recorder()
    path = str(tmp_path / "app.sock")
    async with serve(app, uds=path, proxy_protocol=True, forwarded_allow_ips=allowed):
        if allowed == "unix":
            assert (await unix_exchange(path, LINE + request())).startswith(b"HTTP/1.1 101 ")
            assert app.scope["client"] == CLIENT
        else:
            with pytest.raises((EOFError, ConnectionError)):
                await unix_exchange(path, LINE + request())
