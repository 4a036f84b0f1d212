"""What is sent to members: an event in the application's own form, encoded once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from longwire.hub.events import Event, Publication

Format = Callable[[Event], "str | bytes | None"]
"""Makes of an event what a client is sent; None sends it nothing.

It is called once for all members that share it: use one function, not one for each connection.
"""

Prepare = Callable[["str | bytes"], Any]
"""The server's own way to make one message ready for many (its extension longwire.fanout)."""


def as_published(event: Event) -> str | bytes | None:
    """The format of a member that names none: publications as they are, of the rest nothing."""
    return event.data if isinstance(event, Publication) else None


def size_of(data: str | bytes) -> int:
    """Return how many bytes a message is on the wire; UnicodeEncodeError for a lone surrogate."""
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())


class Message:
    """A message for many; `size` is in bytes."""

    __slots__ = ("data", "key", "prepared", "size")

    def __init__(self, data: str | bytes, key: str | None = None) -> None:
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"a message is str or bytes; got {type(data).__name__}")
        self.data = data
        self.key = key
        self.size = size_of(data)
        self.prepared: Any = None

    def prepare(self, prepare: Prepare) -> Any:
        """Return the message as the server wants it; made once, as a process has one server."""
        self.prepared = prepare(self.data)
        return self.prepared

    def to_asgi(self) -> dict[str, Any]:
        """Return it for send()."""
        kind = "text" if isinstance(self.data, str) else "bytes"
        return {"type": "websocket.send", kind: self.data}


def find_prepare(scope: Mapping[str, Any] | None) -> Prepare | None:
    """Return the server's way to prepare messages, if it has one."""
    fanout = ((scope or {}).get("extensions") or {}).get("longwire.fanout")
    return fanout["prepare"] if fanout else None
