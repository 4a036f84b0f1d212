"""The two system calls of a connection, without a wait and without an object in between.

The compiled twin is direct.pyx.
"""

from __future__ import annotations

import os

RECEIVE_BYTES = 64 * 1024
"""What is received at once at most. Compiled it is 256 KiB, into one buffer for all connections;
here each call has to make room for as much."""


def receive_now(descriptor: int) -> bytes:
    """Return what has come, b"" if the peer has ended its side; BlockingIOError, OSError."""
    return os.read(descriptor, RECEIVE_BYTES)


def send_now(descriptor: int, data: bytes | bytearray) -> int:
    """Return how many bytes the kernel took: 0 if it has no room; OSError."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0
