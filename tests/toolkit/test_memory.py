"""The server in memory: it ends every application, and is as strict as one on the wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.toolkit.testing import AsyncTestClient

pytestmark = pytest.mark.anyio

Loop = Callable[[Receive, Send], Awaitable[None]]


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longwire.toolkit.testing.memory.GRACE", 0.05)


# ---- applications that do not end -----------------------------------------------------------


async def asks_on(receive: Receive, send: Send) -> None:
    while True:
        await receive()


async def sends_on(receive: Receive, send: Send) -> None:
    while True:
        with contextlib.suppress(OSError):
            await send({"type": "websocket.send", "text": "x" * 1_000_000})


async def sends_nothing_on(receive: Receive, send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "text": ""})


@pytest.mark.parametrize("loop", [asks_on, sends_on, sends_nothing_on])
async def test_an_application_that_ignores_the_end_is_cancelled(loop: Loop) -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await loop(receive, send)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        except OSError:
            ended.append("lost")
            raise

    async with AsyncTestClient(app).websocket_connect("/"):
        pass
    assert ended == ["lost" if loop is sends_nothing_on else "cancelled"]
