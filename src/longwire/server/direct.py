"""Writing to a plain TCP or unix socket past its transport, while the transport has nothing to do.

A transport keeps lists, handles and callbacks for what it writes; most of the time all of it leaves
at once, and one system call is all that is needed. What the kernel does not take goes to the
transport, which waits for it. The compiled twin is direct.pyx.
"""

from __future__ import annotations

import asyncio
import os

NONE = -1


def descriptor_of(transport: asyncio.Transport) -> int:
    """Return the socket's file descriptor; NONE where bytes are not to be sent as they are (TLS).

    It is the transport's: use it only after asking the transport whether it is closing, for a
    descriptor that was closed is soon another connection's.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        return NONE
    descriptor: int = sock.fileno()
    return descriptor


def write_now(transport: asyncio.Transport, descriptor: int, data: bytes) -> None:
    """Write at once, where a transport would wait for the end of the iteration; a closing transport
    takes nothing.
    """
    if descriptor != NONE and not transport.is_closing() and not transport.get_write_buffer_size():
        data = data[send_now(descriptor, data) :]
    if data:
        transport.write(data)


def send_now(descriptor: int, data: bytes | bytearray) -> int:
    """Return how many bytes the kernel took, without waiting; 0 if it took none, or on an error:
    the transport meets the same one and knows what to do.
    """
    try:
        return os.write(descriptor, data)
    except OSError:
        return 0
