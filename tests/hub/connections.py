"""Connections that are none: a send() that keeps what it is given, fails, or waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

PATIENCE = 10.0


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for the condition; AssertionError if it does not come."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen"
        await asyncio.sleep(0)


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


class FakeConnection:
    """What a member sends is in `sent`; while `gate` is not set, send() waits."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.sent: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()
        self.error: Exception | None = None

    async def __call__(self, message: Any) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if message["type"] == "websocket.close":
            self.closed = message["code"], message["reason"]
        else:
            text = message.get("text")
            self.sent.append(message["bytes"] if text is None else text)
