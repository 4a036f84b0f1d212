"""What HTTP and WebSocket connections do alike with a transport: pause reading, and end it well."""

from __future__ import annotations

import fcntl
import sys
import termios

from longwire.server.timers import Timed, TimerWheel
from longwire.server.transport import Transport


def pause_reading(transport: Transport) -> None:
    """Stop reading; harmless if nothing is read, or the transport is closing."""
    if not transport.is_closing() and transport.is_reading():
        transport.pause_reading()


def resume_reading(transport: Transport) -> None:
    """Read on; harmless if nothing had stopped it, or the transport is closing."""
    if not transport.is_closing() and not transport.is_reading():
        transport.resume_reading()


class Closing:
    """The end of one connection: a peer that reads, however slowly, gets the last bytes.

    `interval` is how many seconds a peer has for the next sign of life; then it is cut off. The
    entry that is scheduled is the connection: it passes its on_timer() on. Nothing is written once
    close() or linger() was called.
    """

    __slots__ = ("_entry", "_interval", "_timers", "_transport", "_unread")

    def __init__(
        self, entry: Timed, timers: TimerWheel, transport: Transport, interval: float
    ) -> None:
        self._entry = entry
        self._timers = timers
        self._transport = transport
        self._interval = interval
        self._unread = 0

    def give_time(self) -> None:
        """Give the peer its time, from now on."""
        self._unread = _count_unread(self._transport)
        self._timers.schedule(self._entry, self._interval)

    def close(self) -> None:
        """End TCP once everything is written."""
        self.give_time()
        self._transport.close()

    def linger(self) -> None:
        """End our side once everything is written, and let what comes be read and thrown away.

        For a peer that may still be sending: to close with unread data resets the connection, and
        the peer loses what it has not read yet.
        """
        self.give_time()
        resume_reading(self._transport)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()  # TLS reads on until the peer has ended its side

    def on_timer(self) -> None:
        """Cut a peer that has everything, or takes nothing; another has the same time again."""
        unread = _count_unread(self._transport)
        if not unread or unread == self._unread:
            self._transport.abort()
        else:
            self.give_time()


def _count_unread(transport: Transport) -> int:
    """Return how many of our bytes have not reached the peer.

    The transport alone would not do: the kernel takes megabytes at once, and then nothing until a
    third of them has gone, which can be a minute on a slow line.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    try:
        unsent = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):  # a system that does not tell; a socket that is closed
        return waiting
    return waiting + int.from_bytes(unsent, sys.byteorder)
