"""Taking connections: all of them, however many come, and again after a want of descriptors."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from longwire.server import acceptor as accepting
from longwire.server.acceptor import BATCH, Acceptor
from longwire.server.flow import Flusher
from longwire.server.poller import IS_AVAILABLE, Poller
from longwire.server.stream import StreamProtocol
from tests.server.test_listener import descriptors_left

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not IS_AVAILABLE, reason="this system has no epoll"),
]


class Greeter(StreamProtocol):
    """A protocol that says hello and then closes."""

    made = 0

    def connection_made(self, transport: Any) -> None:
        Greeter.made += 1
        sock = transport.get_extra_info("socket")
        if sock.family == socket.AF_INET:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert transport.get_extra_info("peername") == sock.getpeername()
        transport.write(b"hello")
        transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        assert error is None


class Accepted:
    def __init__(self, listener: socket.socket, new_protocol: Any) -> None:
        loop = asyncio.get_running_loop()
        self.reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.reported.append(context))
        self.listener = listener
        self.address = listener.getsockname()
        self.family = listener.family
        self.poller = Poller(loop, Flusher(loop))
        self.acceptor = Acceptor(self.poller, listener, new_protocol)

    def dial(self) -> socket.socket:
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        sock.connect(self.address)
        sock.setblocking(False)
        return sock


@contextmanager
def accept(listener: socket.socket, new_protocol: Any = Greeter) -> Iterator[Accepted]:
    with listener:
        accepted = Accepted(listener, new_protocol)
        try:
            yield accepted
        finally:
            accepted.acceptor.close()
            accepted.poller.close()


async def answer(sock: socket.socket) -> bytes:
    """Return what it says until it ends."""
    loop = asyncio.get_running_loop()
    said = b""
    with closing(sock):
        async with asyncio.timeout(5):
            while data := await loop.sock_recv(sock, 100):
                said += data
    return said


@pytest.fixture
async def greeter() -> AsyncIterator[Accepted]:
    Greeter.made = 0
    with accept(socket.create_server(("127.0.0.1", 0), backlog=1024)) as accepted:
        yield accepted


async def test_more_at_once_than_are_taken_in_a_turn(greeter: Accepted) -> None:
    dialled = [greeter.dial() for _ in range(3 * BATCH)]
    assert await asyncio.gather(*map(answer, dialled)) == [b"hello"] * len(dialled)
    assert Greeter.made == len(dialled)
    assert greeter.reported == []


async def test_a_unix_socket(tmp_path: Any) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "socket"))
    listener.listen()
    with accept(listener) as accepted:
        assert await answer(accepted.dial()) == b"hello"
        assert accepted.reported == []


async def test_want_of_descriptors_is_said_and_waited_for(
    greeter: Accepted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.05)
    waiting = [greeter.dial() for _ in range(3)]
    with descriptors_left(0):
        async with asyncio.timeout(5):
            while len(caplog.records) < 2:  # and so on, for as long as there is none
                await asyncio.sleep(0.01)
    said = "no connection can be taken for 0.05 s: Too many open files"
    assert {record.getMessage() for record in caplog.records} == {said}
    first, second = caplog.records[:2]
    assert second.created - first.created > 0.025  # it sleeps meanwhile
    assert await asyncio.gather(*map(answer, waiting)) == [b"hello"] * 3


async def test_a_socket_that_cannot_be_watched_is_said_and_waited_for(
    greeter: Accepted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 60)  # it is not watched when it is closed below
    waiting = greeter.dial()
    descriptor = greeter.listener.fileno()
    kept = os.dup(descriptor)
    with descriptors_left(0):
        async with asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.01)
    monkeypatch.setattr(accepting, "PAUSE", 0.05)
    os.close(descriptor)
    greeter.acceptor._resume()
    assert "Bad file descriptor" in caplog.text
    os.dup2(kept, descriptor)
    os.close(kept)
    assert await answer(waiting) == b"hello"


async def test_closed_it_takes_none(greeter: Accepted) -> None:
    greeter.acceptor.close()
    with closing(greeter.dial()):
        await asyncio.sleep(0.05)
    assert Greeter.made == 0


async def test_closed_while_it_waits(
    greeter: Accepted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.2)
    with closing(greeter.dial()):
        with descriptors_left(0):
            async with asyncio.timeout(5):
                while not caplog.records:
                    await asyncio.sleep(0.01)
            greeter.acceptor.close()
            greeter.acceptor.close()
        await asyncio.sleep(0.3)
    assert Greeter.made == 0


async def test_a_connection_that_cannot_be_begun_is_not_the_last(caplog: Any) -> None:
    made: list[int] = []

    def new_protocol() -> Greeter:
        made.append(len(made))
        if len(made) == 1:
            raise ZeroDivisionError
        return Greeter()

    with accept(socket.create_server(("127.0.0.1", 0)), new_protocol) as accepted:
        assert await answer(accepted.dial()) == b""
        assert await answer(accepted.dial()) == b"hello"
        assert [type(c["exception"]) for c in accepted.reported] == [ZeroDivisionError]


async def test_a_listener_that_its_owner_closes_first() -> None:
    with accept(socket.create_server(("127.0.0.1", 0))) as accepted:
        accepted.listener.close()
        accepted.acceptor.close()
        assert accepted.reported == []
