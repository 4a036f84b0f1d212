"""Going away: tell the applications while their sockets are open, then close them in batches.

    notice  ->  batches of close frames, spread with jitter  ->  close handshakes  ->  deadline

One path for every ending of the server: SIGTERM, SIGINT, and whatever recycles a process.
"""

from __future__ import annotations

import asyncio


class DrainNotice:
    """Set once, when the server begins to go away; `scope["extensions"]["longwire.drain"]["notice"]`.

    An application awaits `wait()` beside its sockets, or asks `is_set()`; its sockets are still
    open then, so that it can say goodbye.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def is_set(self) -> bool:
        """Return whether the server is going away."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when the server begins to go away."""
        await self._event.wait()

    def set(self) -> None:
        self._event.set()
