"""The two system calls: what there is, what there is room for, and what cannot be."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from longwire.server.direct import RECEIVE_BYTES, receive_now, send_now

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("data", [b"hello", bytearray(b"hello"), b""])
def test_what_there_is_room_for_is_sent(pair: Pair, data: bytes) -> None:
    ours, theirs = pair
    assert send_now(ours.fileno(), data) == len(data)
    ours.close()  # else there is no end to an empty one
    assert theirs.recv(10) == data


def test_a_full_buffer_takes_a_part_and_then_nothing(pair: Pair) -> None:
    ours, _ = pair
    data = b"x" * (16 * 1024 * 1024)
    assert 0 < send_now(ours.fileno(), data) < len(data)
    while send_now(ours.fileno(), data):
        pass
    assert send_now(ours.fileno(), b"x") == 0


def test_sending_to_a_peer_that_has_left(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(BrokenPipeError):
        send_now(ours.fileno(), b"hello")


def test_what_has_come_is_received_in_parts_that_are_bounded(pair: Pair) -> None:
    ours, theirs = pair
    theirs.setblocking(False)
    data = bytes(range(256)) * (RECEIVE_BYTES // 128)
    sent, received = 0, b""
    while len(received) < len(data):
        sent += send_now(theirs.fileno(), data[sent:])
        part = receive_now(ours.fileno())
        assert 0 < len(part) <= RECEIVE_BYTES
        received += part
    assert received == data


def test_nothing_has_come(pair: Pair) -> None:
    ours, theirs = pair
    with pytest.raises(BlockingIOError):
        receive_now(ours.fileno())
    theirs.close()
    assert receive_now(ours.fileno()) == b""


def test_no_descriptor(pair: Pair) -> None:
    ours, _ = pair
    number = ours.fileno()
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        receive_now(number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        send_now(number, b"x")
