"""The application's start-up and shutdown, in each mode."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.errors import StartupError
from longwire.server.lifespan import Lifespan

pytestmark = pytest.mark.anyio

COMPLETE = {"type": "lifespan.startup.complete"}


async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["opened"] = (await receive())["type"]
    await send(COMPLETE)
    scope["state"]["closed"] = (await receive())["type"]
    await send({"type": "lifespan.shutdown.complete"})


async def only_starts(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(COMPLETE)


async def knows_none(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "websocket"


async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def is_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def fails_to_stop(scope: Scope, receive: Receive, send: Send) -> None:
    await only_starts(scope, receive, send)
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "disk full"})


async def raises_while_stopping(scope: Scope, receive: Receive, send: Send) -> None:
    await only_starts(scope, receive, send)
    await receive()
    raise ValueError


async def is_cancelled_while_stopping(scope: Scope, receive: Receive, send: Send) -> None:
    await only_starts(scope, receive, send)
    await receive()
    raise asyncio.CancelledError


async def hangs_while_stopping(scope: Scope, receive: Receive, send: Send) -> None:
    await only_starts(scope, receive, send)
    await receive()
    await receive()


async def test_the_state_is_the_applications(anyio_backend: Any) -> None:
    lifespan = Lifespan(whole, "on")
    await lifespan.startup()
    assert lifespan.state == {"opened": "lifespan.startup"}
    assert await lifespan.shutdown(5)
    assert lifespan.state["closed"] == "lifespan.shutdown"


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_one_that_returns_after_its_start_up(mode: str) -> None:
    lifespan = Lifespan(only_starts, mode)
    await lifespan.startup()
    assert await lifespan.shutdown(5)


@pytest.mark.parametrize("app", [knows_none, says_nothing, is_cancelled])
async def test_one_that_knows_no_lifespan(app: Any) -> None:
    lifespan = Lifespan(app, "auto")
    await lifespan.startup()
    assert await lifespan.shutdown(5)
    with pytest.raises(StartupError):
        await Lifespan(app, "on").startup()
    await Lifespan(app, "off").startup()


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_a_failed_start_up_is_always_an_error(mode: str) -> None:
    with pytest.raises(StartupError, match="no database"):
        await Lifespan(fails, mode).startup()


async def test_one_that_is_cancelled_while_stopping_has_answered() -> None:
    lifespan = Lifespan(is_cancelled_while_stopping, "on")
    await lifespan.startup()
    assert not await asyncio.wait_for(lifespan.shutdown(None), 5)


@pytest.mark.parametrize("app", [fails_to_stop, raises_while_stopping, hangs_while_stopping])
async def test_a_failed_shutdown_is_told(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    lifespan = Lifespan(app, "on")
    await lifespan.startup()
    assert not await lifespan.shutdown(0.2)
    assert [record for record in caplog.records if record.levelname == "ERROR"]
