"""Writing past the transport: what the kernel takes, and what it leaves to the transport."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from longwire.server.direct import NONE, descriptor_of, send_now, write_now

pytestmark = pytest.mark.anyio


class Transport:
    """What is asked of a transport, and what is left to it."""

    def __init__(self, sock: socket.socket | None, *, context: Any = None) -> None:
        self._extra = {"socket": sock, "sslcontext": context}
        self.waiting = 0
        self.closing = False
        self.written = b""

    def get_extra_info(self, name: str) -> Any:
        return self._extra[name]

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.fixture
def pair() -> Any:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("data", [b"hello", bytearray(b"hello")])
def test_what_there_is_room_for_is_sent(pair: Any, data: bytes) -> None:
    ours, theirs = pair
    assert send_now(ours.fileno(), data) == 5
    assert theirs.recv(10) == b"hello"


def test_a_full_buffer_takes_a_part_and_then_nothing(pair: Any) -> None:
    ours, _ = pair
    data = b"x" * (16 * 1024 * 1024)
    assert 0 < send_now(ours.fileno(), data) < len(data)
    while send_now(ours.fileno(), data):
        pass
    assert send_now(ours.fileno(), b"x") == 0


def test_an_error_is_the_transport_s_to_meet(pair: Any) -> None:
    ours, theirs = pair
    theirs.close()
    assert send_now(ours.fileno(), b"hello") == 0


def test_plain_sockets_alone_are_written_to(pair: Any) -> None:
    ours, _ = pair
    assert descriptor_of(Transport(ours)) == ours.fileno()  # type: ignore[arg-type]
    tls = Transport(ours, context=ssl.create_default_context())
    assert descriptor_of(tls) == NONE  # type: ignore[arg-type]
    assert descriptor_of(Transport(None)) == NONE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("waiting", "closing", "sent"), [(0, False, b"hello"), (1, False, b""), (0, True, b"")]
)
def test_nothing_overtakes_what_the_transport_has(
    pair: Any, waiting: int, closing: bool, sent: bytes
) -> None:
    ours, theirs = pair
    transport = Transport(ours)
    transport.waiting, transport.closing = waiting, closing
    write_now(transport, ours.fileno(), b"hello")  # type: ignore[arg-type]
    theirs.setblocking(False)
    try:
        found = theirs.recv(10)
    except BlockingIOError:
        found = b""
    assert (found, transport.written) == (sent, b"" if sent else b"hello")


async def test_the_rest_follows_in_order_over_a_real_transport() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    data = bytes(range(256)) * 40_000
    write_now(transport, ours.fileno(), data)
    write_now(transport, ours.fileno(), b"behind it")
    theirs.setblocking(False)
    received = bytearray()
    async with asyncio.timeout(10):
        while len(received) < len(data) + 9:
            received += await loop.sock_recv(theirs, 1 << 20)
    assert received == data + b"behind it"
    transport.close()
    theirs.close()
