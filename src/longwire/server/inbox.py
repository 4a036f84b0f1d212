"""What the application hears: connect, the messages in order, and the end, again and again.

The inbox is bounded in messages and bytes; when it is full its reader stops reading (policy:
wait), and is told once the inbox is empty again. A message leaves the inbox inside the task that
receives it, so a cancelled receive() loses none.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from longwire.server.awaitable import PENDING, Awaitable

INBOX_BYTES = 1024 * 1024
"""Bytes of whole messages that wait for the application before reading stops."""


MAX_TAKEN = 1024
"""Places of messages that were taken, before the list is shortened: under a steady stream it is
never empty."""


class Reader(Protocol):
    """Who fills the inbox."""

    def on_inbox_empty(self) -> None:
        """The application has taken the last message of an inbox that had been full."""


class Receive(Awaitable):
    """One `await receive()`."""

    _inbox: Inbox
    following: Receive | None

    def __init__(self) -> None:
        raise TypeError("Inbox.receive() makes these")  # one without an inbox has nothing to ask

    def poll(self) -> Any:
        return self._inbox.take(self)

    def forsake(self) -> None:
        self._inbox.forget(self)


def new_receive(inbox: Inbox, loop: asyncio.AbstractEventLoop) -> Receive:
    receive = Receive.__new__(Receive)  # which costs a third of a call of the type
    receive._loop = loop
    receive._inbox = inbox
    return receive


class Inbox:
    """The inbox of one connection; `limit` is in messages, INBOX_BYTES in bytes."""

    __slots__ = (
        "_disconnect",
        "_is_connect_told",
        "_limit",
        "_loop",
        "_messages",
        "_next",
        "_parked",
        "_reader",
        "_size",
        "_was_full",
    )

    def __init__(self, reader: Reader, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._reader: Reader | None = reader
        self._loop = loop
        self._limit = limit
        self._messages: list[Any] | None = None  # what one read brought; None while idle
        self._next = 0
        self._size = 0
        self._is_connect_told = False
        self._was_full = False
        self._disconnect: dict[str, Any] | None = None
        self._parked: Receive | None = None  # a chain in order, hardly ever longer than one

    def receive(self) -> Receive:
        """ASGI's receive(): cancelling it loses no message, and it never hangs after the end."""
        return new_receive(self, self._loop)

    def put(self, messages: list[Any], size: int) -> bool:
        """Take over a list of str and bytes of `size` in all; return whether the inbox is full.

        A task that waits is resumed at once and may empty the inbox before this returns.
        """
        self._size += size
        if self._messages is None:
            self._messages = messages
        else:
            if self._next > MAX_TAKEN:
                del self._messages[: self._next]
                self._next = 0
            self._messages.extend(messages)
        self._wake(True)
        self._was_full = self._messages is not None and (
            len(self._messages) - self._next > self._limit or self._size > INBOX_BYTES
        )
        return self._was_full

    def end(self, code: int, reason: str, by: str) -> None:
        """Let the application hear of the end, after the messages that came before it.

        `by` is beyond ASGI: who ended it, "client", "application", "server" or "nobody".
        """
        if self._disconnect is None:
            self._disconnect = {
                "type": "websocket.disconnect",
                "code": code,
                "reason": reason,
                "by": by,
            }
            self._wake(False)

    def detach(self) -> None:
        """The reader has gone: there is nobody to tell of room."""
        self._reader = None

    def take(self, receive: Receive) -> Any:
        """Return what the application hears next, or PENDING with `receive` parked."""
        messages = self._messages
        if messages is not None and self._is_connect_told:
            message = messages[self._next]
            messages[self._next] = None
            self._next += 1
            self._size -= len(message)
            if self._next == len(messages):
                self._messages = None
                self._next = 0
                if self._was_full:
                    self._was_full = False
                    if self._reader is not None:
                        self._reader.on_inbox_empty()
            if type(message) is str:
                return {"type": "websocket.receive", "text": message}
            return {"type": "websocket.receive", "bytes": message}
        if not self._is_connect_told:
            self._is_connect_told = True
            return {"type": "websocket.connect"}
        if self._disconnect is not None:
            return dict(self._disconnect)
        self._park(receive)
        return PENDING

    def _park(self, receive: Receive) -> None:
        receive.following = None
        if self._parked is None:
            self._parked = receive
            return
        last = self._parked
        while last.following is not None:
            last = last.following
        last.following = receive

    def forget(self, receive: Receive) -> None:
        """Unlink a receive that is cancelled; harmless if it is not parked."""
        if self._parked is receive:
            self._parked = receive.following
            return
        link = self._parked
        while link is not None:
            if link.following is receive:
                link.following = receive.following
                return
            link = link.following

    def _wake(self, at_once: bool) -> None:
        """Resume every parked receive; one that finds nothing for it parks again."""
        receive = self._parked
        self._parked = None
        while receive is not None:
            following = receive.following
            receive.wake(at_once)
            receive = following
