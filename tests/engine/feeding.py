"""Ways to cut the same bytes into reads: whole, byte by byte, or anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest
from hypothesis import strategies as st

from longwire.engine import Connection, Deflate, Event, Limits, Role

Cut = Callable[[bytes], list[bytes]]

KEY = b"\x37\xfa\x21\x3d"


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


both_cuts = pytest.mark.parametrize("cut", [whole, byte_by_byte], ids=["whole", "byte by byte"])


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut at the places, taken modulo the length."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


cuts = st.lists(st.integers(0, 2**20), max_size=12)


def server(max_size: int = 0, deflate: Deflate | None = None) -> Connection:
    return Connection(Role.SERVER, Limits(max_message_size=max_size), deflate)


def client(max_size: int = 0, deflate: Deflate | None = None) -> Connection:
    return Connection(Role.CLIENT, Limits(max_message_size=max_size), deflate, lambda: KEY)


def feed(connection: Connection, reads: Iterable[bytes]) -> list[Event]:
    return [event for read in reads for event in connection.receive_data(read)]


def sent(connection: Connection) -> bytes:
    return bytes(connection.data_to_send())
