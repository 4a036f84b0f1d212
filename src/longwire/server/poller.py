"""Whose socket is ready, asked of the kernel once for all connections of a process (epoll).

The epoll is itself a descriptor that the loop watches. What in a loop is a handle, a callback and
the calls between them for each socket is one callback here for all that are ready, and a socket
costs the loop nothing while it opens and closes. Level-triggered: whoever leaves something unread
is told again. The edges were tried and bring nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Iterator

from longwire.server.flow import Flusher

READ, WRITE = 0x001, 0x004
"""EPOLLIN and EPOLLOUT: what is waited for. Errors and hang-ups come without being asked for."""

BATCH = 256
"""Sockets that are told at once: then the loop's timers and tasks have their turn."""

IS_AVAILABLE = hasattr(select, "epoll")
"""Linux has it; elsewhere connections are on the loop's own transports."""


class Pollable:
    """Something with a descriptor."""

    __slots__ = ()

    def on_events(self, events: int) -> None:
        """The descriptor is ready; `events` are epoll's."""
        raise NotImplementedError

    def on_error(self, error: Exception) -> None:
        """on_events() raised this, or on_end() did."""
        raise NotImplementedError

    def on_end(self) -> None:
        """Nothing that was under way when Poller.end() was called is so any more."""
        raise NotImplementedError


class Poller:
    """The descriptors that are waited for, and who is told."""

    __slots__ = ("_ending", "_epoll", "_flusher", "_is_telling", "_watched", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, flusher: Flusher) -> None:
        """What connections have to write when they are told is written behind each batch."""
        self.loop = loop
        self._flusher = flusher
        self._epoll = select.epoll()
        self._watched: dict[int, Pollable] = {}
        self._ending: list[Pollable] = []
        self._is_telling = False
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    def close(self) -> None:
        """Wait for nothing any more. Idempotent."""
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._watched.clear()

    def watch(self, descriptor: int, pollable: Pollable, events: int) -> None:
        """Tell it of those events from now on."""
        if descriptor in self._watched:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
            self._watched[descriptor] = pollable

    def forget(self, descriptor: int) -> None:
        """Tell nobody of it any more: to be called before it is closed, for its number is soon
        another connection's. Idempotent.
        """
        # Closing alone would not do: a process that was forked from this one has it open, too.
        if self._watched.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):  # its owner has closed it: the kernel knows
                self._epoll.unregister(descriptor)

    def end(self, pollable: Pollable) -> None:
        """Call its on_end() soon: behind the batch that is being told, and behind the caller."""
        if not self._ending and not self._is_telling:
            self.loop.call_soon(self._end_all)
        self._ending.append(pollable)

    def _on_ready(self) -> None:
        self._flusher.hold()
        self._is_telling = True
        try:
            ready = iter(self._epoll.poll(0, BATCH))
            while not self._tell(ready):
                pass  # one `try` for all of them, resumed behind the one that fails
        finally:
            self._is_telling = False
            self._flusher.release()
            self._end_all()

    def _tell(self, ready: Iterator[tuple[int, int]]) -> bool:
        pollable = None
        try:
            for descriptor, events in ready:
                # One that was told before it may have ended this one: no number is another's yet.
                pollable = self._watched.get(descriptor)
                if pollable is not None:
                    pollable.on_events(events)
        except Exception as error:
            if pollable is None:
                raise
            pollable.on_error(error)
            return False
        return True

    def _end_all(self) -> None:
        while self._ending:
            ending, self._ending = self._ending, []
            for pollable in ending:
                try:
                    pollable.on_end()
                except Exception as error:
                    pollable.on_error(error)
