"""The end of a connection as something to wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from longwire.toolkit.disconnect import Closure


class Closed:
    """`await websocket.closed`: how the connection ended, once it has; `is_set()` asks."""

    __slots__ = ("_closure", "_wait")

    def __init__(
        self, closure: Callable[[], Closure | None], wait: Callable[[], Awaitable[Closure]]
    ) -> None:
        self._closure = closure
        self._wait = wait

    def is_set(self) -> bool:
        """Return whether the end has been noticed; awaiting looks for it, this does not."""
        return self._closure() is not None

    async def wait(self) -> Closure:
        """Return the Closure once the connection has ended.

        Meanwhile up to 32 messages are read ahead, and kept for receive(): behind more than that
        the end is noticed only when they are received.
        """
        return await self._wait()

    def __await__(self) -> Generator[Any, None, Closure]:
        return self.wait().__await__()
