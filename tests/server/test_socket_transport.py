"""Our own transport over real sockets: what a protocol is told, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longwire.server import poller as polling
from longwire.server.flow import Flushable, Flusher
from longwire.server.poller import Poller
from longwire.server.socket_transport import SocketTransport
from longwire.server.stream import StreamProtocol

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not polling.IS_AVAILABLE, reason="this system has no epoll"),
]

LARGE = bytes(range(256)) * 32_768  # 8 MiB: more than a socket takes


class Recorder(StreamProtocol):
    """A protocol that notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.received = bytearray()
        self.error: Exception | None = None
        self.transport: Any = None
        self.lost = asyncio.Event()
        self._changed = asyncio.Event()

    def _note(self, what: str) -> None:
        self.told.append(what)
        self._changed.set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def eof_received(self) -> bool:
        self._note("eof")
        return True

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        self._note("lost")
        self.lost.set()

    async def until(self, received: bytes) -> None:
        async with asyncio.timeout(5):
            while bytes(self.received) != received:
                self._changed.clear()
                await self._changed.wait()

    async def ended(self) -> None:
        await asyncio.wait_for(self.lost.wait(), 5)


class Wires:
    """Connections on one poller, each with its other end, and what failed on the loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.flusher = Flusher(self.loop)
        self.poller = Poller(self.loop, self.flusher)
        self.reported: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.reported.append(context))
        self._open: list[socket.socket] = []

    def open(self, protocol: Any, *, tcp: bool = False) -> tuple[SocketTransport, socket.socket]:
        ours, theirs = tcp_pair() if tcp else socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._open += [ours, theirs]
        transport = SocketTransport(self.poller, ours, "them", protocol)
        transport.open()
        return transport, theirs

    def close(self) -> None:
        self.poller.close()
        for sock in self._open:
            sock.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        return listener.accept()[0], theirs


@pytest.fixture
async def wires() -> AsyncIterator[Wires]:
    wires = Wires()
    yield wires
    wires.close()


async def read_all(sock: socket.socket) -> bytes:
    """Read until the end."""
    received = bytearray()
    async with asyncio.timeout(10):
        while data := await asyncio.get_running_loop().sock_recv(sock, 1 << 20):
            received += data
    return bytes(received)


def watched(descriptor: int) -> int | None:
    """Return the events that an epoll of this process waits for; None if none knows it."""
    for found in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            for line in found.read_text().splitlines():
                words = line.split()
                if words[:2] == ["tfd:", str(descriptor)]:
                    return int(words[3], 16)
    return None


async def test_both_ways_until_the_peer_ends_its_side(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    peer.send(b"hello")
    await protocol.until(b"hello")
    transport.write(b"and ")
    transport.write(bytearray(b"back"))
    assert peer.recv(100) == b"and back"  # at once: nobody has waited for the loop
    assert not transport.is_closing()
    sock = transport.get_extra_info("socket")
    peer.shutdown(socket.SHUT_WR)
    await protocol.ended()
    assert (protocol.told, protocol.error) == (["made", "eof", "lost"], None)
    assert transport.is_closing()
    assert sock.fileno() == -1
    assert await read_all(peer) == b""


async def test_more_than_the_peer_takes_waits_and_arrives_in_order(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    transport.set_write_buffer_limits(high=100_000)
    transport.write(LARGE)
    transport.write(b"behind it")
    assert transport.get_write_buffer_size() > 100_000
    assert protocol.told == ["made", "pause"]
    transport.close()
    assert await read_all(peer) == LARGE + b"behind it"
    await protocol.ended()
    assert protocol.told == ["made", "pause", "resume", "lost"]
    assert transport.get_write_buffer_size() == 0


async def test_writing_resumes_at_a_quarter(wires: Wires) -> None:
    sizes = []

    class Resumed(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            sizes.append(self.transport.get_write_buffer_size())

    protocol = Resumed()
    transport, peer = wires.open(protocol)
    transport.set_write_buffer_limits(high=1_000_000)
    transport.write(LARGE)
    waiting = transport.get_write_buffer_size()
    taken = 0
    async with asyncio.timeout(10):
        while not sizes:
            taken += len(await wires.loop.sock_recv(peer, 65536))
    assert sizes[0] <= 250_000 < waiting
    assert protocol.told == ["made", "pause", "resume"]
    assert not transport.is_closing()


async def test_what_is_written_when_writing_resumes_is_behind_the_rest(wires: Wires) -> None:
    class More(Recorder):
        def resume_writing(self) -> None:
            self.transport.write(b"more")
            self.transport.close()

    transport, peer = wires.open(More())
    transport.set_write_buffer_limits(high=1)
    transport.write(LARGE)
    assert await read_all(peer) == LARGE + b"more"


async def test_an_end_is_told_once_and_never_inside_the_call(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    transport.write(LARGE)
    transport.abort()
    transport.abort()
    transport.close()
    transport.write(b"into the void")
    assert protocol.told == ["made", "pause"]
    await protocol.ended()
    assert protocol.told == ["made", "pause", "lost"]
    assert len(await read_all(peer)) < len(LARGE)


async def test_our_side_ends_behind_what_waits_and_theirs_goes_on(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    assert transport.can_write_eof()
    transport.write(LARGE)
    transport.write_eof()
    transport.write_eof()
    transport.write(b"too late")
    assert await read_all(peer) == LARGE
    peer.send(b"goodbye")
    await protocol.until(b"goodbye")
    assert not transport.is_closing()
    peer.close()
    await protocol.ended()


async def test_our_side_ends_at_once_where_nothing_waits(wires: Wires) -> None:
    transport, peer = wires.open(Recorder())
    transport.write_eof()
    assert peer.recv(10) == b""


async def test_nothing_is_read_while_reading_is_paused(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    descriptor = transport.get_extra_info("socket").fileno()
    transport.pause_reading()
    assert not transport.is_reading()
    peer.send(b"early")
    async with asyncio.timeout(5):
        while watched(descriptor) is not None:  # told once, and then the loop may sleep
            await asyncio.sleep(0)
    assert protocol.received == b""
    transport.resume_reading()
    assert transport.is_reading()
    await protocol.until(b"early")
    peer.close()
    await protocol.ended()
    transport.resume_reading()
    assert not transport.is_reading()


async def test_a_pause_inside_a_read_ends_it(wires: Wires) -> None:
    class Sated(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    protocol = Sated()
    transport, peer = wires.open(protocol, tcp=True)
    size = peer.send(LARGE)
    async with asyncio.timeout(10):
        while len(protocol.received) < size:
            before = len(protocol.received)
            transport.resume_reading()
            while len(protocol.received) == before:
                await asyncio.sleep(0)
    assert protocol.received == LARGE[:size]


async def test_a_peer_that_ends_while_something_waits_gets_it(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    transport.write(LARGE)
    peer.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(5):
        while not transport.is_closing():
            await asyncio.sleep(0)
    assert await read_all(peer) == LARGE
    await protocol.ended()
    assert protocol.told == ["made", "pause", "eof", "resume", "lost"]


def reset(sock: socket.socket) -> None:
    """End TCP without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("is_reading", [True, False])
@pytest.mark.parametrize("waiting", [b"", LARGE])
async def test_a_reset(wires: Wires, is_reading: bool, waiting: bytes) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol, tcp=True)
    transport.write(waiting)
    if not is_reading:
        transport.pause_reading()
    reset(peer)
    if not is_reading and not waiting:
        await asyncio.sleep(0)
        # Who neither reads nor writes has nothing to wait for.
        transport.write(b"is somebody there?")
    await protocol.ended()
    assert isinstance(protocol.error, ConnectionResetError | BrokenPipeError)
    assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("tcp", [True, False])
async def test_the_last_words_of_a_peer_that_resets(wires: Wires, tcp: bool) -> None:
    """It leaves with our bytes unread, as who closes in the middle of a stream does."""
    protocol = Recorder()
    transport, peer = wires.open(protocol, tcp=tcp)
    transport.write(LARGE)
    peer.send(b"goodbye")
    peer.close()
    await protocol.ended()
    assert protocol.received == b"goodbye"
    assert protocol.error is not None


async def test_a_hang_up_where_there_is_neither_room_nor_reading(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    transport.write(LARGE)
    transport.pause_reading()
    peer.shutdown(socket.SHUT_RDWR)  # what it has not read stays where it is
    await protocol.ended()
    assert isinstance(protocol.error, BrokenPipeError)


async def test_who_fails_is_cut_off_and_the_others_are_told(wires: Wires) -> None:
    class Failing(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    protocols = [Recorder(), Failing(), Recorder(), Failing(), Recorder()]
    opened = [wires.open(protocol) for protocol in protocols]
    for _, peer in opened:
        peer.send(b"hello")
    for protocol in protocols:
        if isinstance(protocol, Failing):
            await protocol.ended()
            assert isinstance(protocol.error, ZeroDivisionError)
        else:
            await protocol.until(b"hello")
            assert not protocol.transport.is_closing()
    assert [type(context["exception"]) for context in wires.reported] == [ZeroDivisionError] * 2
    assert [context["protocol"] for context in wires.reported] == protocols[1::2]


async def test_who_fails_at_the_beginning_or_the_end_leaves_no_socket(wires: Wires) -> None:
    class Failing(Recorder):
        def connection_made(self, transport: Any) -> None:
            raise ZeroDivisionError("made")

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            raise ZeroDivisionError("lost")

    protocol = Failing()
    transport, peer = wires.open(protocol)
    await protocol.ended()
    assert await read_all(peer) == b""
    assert transport.get_extra_info("socket").fileno() == -1
    assert [str(context["exception"]) for context in wires.reported] == ["made", "lost"]


async def test_who_cannot_be_waited_for_is_cut_off(wires: Wires) -> None:
    """As where the user has more watches than the system allows; its protocol would never know."""
    wires.poller.close()
    protocol = Recorder()
    _, peer = wires.open(protocol)
    await protocol.ended()
    assert await read_all(peer) == b""
    assert [type(context["exception"]) for context in wires.reported] == [ValueError]


async def test_who_was_ended_in_the_same_batch_is_not_told(wires: Wires) -> None:
    class Ending(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            for other in protocols:
                if other is not self:
                    other.transport.abort()
                    assert not other.lost.is_set()

    protocols = [Ending(), Ending()]
    peers = [wires.open(protocol)[1] for protocol in protocols]
    for peer in peers:
        peer.send(b"hello")
    await asyncio.wait(
        [asyncio.ensure_future(protocol.lost.wait()) for protocol in protocols],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert sorted(bytes(protocol.received) for protocol in protocols) == [b"", b"hello"]
    assert wires.reported == []


async def test_a_number_that_is_another_connection_s_by_now(wires: Wires) -> None:
    first = Recorder()
    transport, peer = wires.open(first)
    descriptor = transport.get_extra_info("socket").fileno()
    copy = os.dup(descriptor)  # as a process has it that was forked meanwhile
    try:
        transport.abort()
        await first.ended()
        assert watched(descriptor) is None
        second = Recorder()
        again, other = wires.open(second)
        assert again.get_extra_info("socket").fileno() == descriptor
        peer.send(b"for the first")
        other.send(b"for the second")
        await second.until(b"for the second")
        assert first.told == ["made", "lost"]
    finally:
        os.close(copy)


async def test_an_end_is_told_though_the_socket_was_closed_by_somebody_else(wires: Wires) -> None:
    protocol = Recorder()
    transport, _ = wires.open(protocol)
    transport.get_extra_info("socket").close()
    transport.abort()
    await protocol.ended()


async def test_what_a_batch_gathers_is_flushed_behind_it(wires: Wires) -> None:
    """Not with the loop's next turn: that would be a wait more for every read."""
    order: list[str] = []

    class Reply(Flushable):
        def flush(self) -> None:
            order.append("flush")

    class Replying(Recorder):
        def data_received(self, data: bytes) -> None:
            order.append("data")
            if len(order) == 1:
                wires.loop.call_soon(order.append, "turn")
            wires.flusher.add(Reply())
            super().data_received(data)

    protocols = [Replying(), Replying()]
    for protocol in protocols:
        wires.open(protocol)[1].send(b"x")
    for protocol in protocols:
        await protocol.until(b"x")
    await asyncio.sleep(0)
    assert order == ["data", "data", "flush", "flush", "turn"]


async def test_a_new_protocol_is_told_from_then_on(wires: Wires) -> None:
    second = Recorder()

    class First(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(second)

    first = First()
    _, peer = wires.open(first)
    peer.send(b"one")
    await first.until(b"one")
    peer.send(b"two")
    await second.until(b"two")
    peer.close()
    await second.ended()
    assert first.told == ["made"]


async def test_what_a_transport_knows(wires: Wires) -> None:
    transport, peer = wires.open(Recorder(), tcp=True)
    sock = transport.get_extra_info("socket")
    assert transport.get_extra_info("sockname") == sock.getsockname() == peer.getpeername()
    assert transport.get_extra_info("peername") == "them"
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("colour", "none") == "none"


async def test_a_closed_poller_waits_for_nothing(wires: Wires) -> None:
    protocol = Recorder()
    transport, peer = wires.open(protocol)
    wires.poller.close()
    wires.poller.close()
    peer.send(b"hello")
    await asyncio.sleep(0.05)
    assert protocol.received == b""
    transport.abort()
    await protocol.ended()
