"""The server is going away: what an application is told while its sockets are still open."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Protocol

from longwire.asgi import Scope
from longwire.toolkit.extensions import extensions


class Notice(Protocol):
    """What a server puts into `scope["extensions"]["longwire.drain"]["notice"]`."""

    def is_set(self) -> bool: ...

    async def wait(self) -> None: ...


class GoingAway:
    """`await websocket.going_away`, or ask `is_set()`; on other servers it never comes."""

    __slots__ = ("_notice",)

    def __init__(self, scope: Scope) -> None:
        extension = extensions(scope).get("longwire.drain") or {}
        self._notice: Notice | None = extension.get("notice")

    def is_set(self) -> bool:
        """Return whether the server has begun to go away."""
        return self._notice is not None and self._notice.is_set()

    async def wait(self) -> None:
        """Return when the server begins to go away."""
        await (asyncio.Event() if self._notice is None else self._notice).wait()

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()
