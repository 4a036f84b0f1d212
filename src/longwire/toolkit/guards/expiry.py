"""Closing a connection in time, when what let it in is no longer good.

The watch is a task that does not keep its connection alive, and ends with it.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocketDisconnect

EXPIRED = "the token has expired"
REVOKED = "the token is no longer valid"

LATE = 0.001
"""Seconds added to a deadline: the loop's clock and the calendar's do not tick together."""

IsGood = Callable[[], Awaitable[bool]]


def watch(
    connection: Any,
    close_code: int,
    *,
    deadline: float | None,
    recheck: float | None,
    is_good: IsGood,
) -> None:
    """Close the connection at `deadline` (as time.time() has it), or once a check says no.

    `is_good` is asked every `recheck` seconds, and has until the deadline to answer.
    """
    reference = weakref.ref(connection)
    task = asyncio.create_task(_watch(reference, close_code, deadline, recheck, is_good))
    weakref.finalize(connection, _cancel, task).atexit = False


def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel from whichever thread the connection's last reference was dropped in."""
    loop = task.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(task.cancel)


async def _watch(
    reference: weakref.ref[Any],
    close_code: int,
    deadline: float | None,
    recheck: float | None,
    is_good: IsGood,
) -> None:
    try:
        left = None if deadline is None else max(0.0, deadline - time.time()) + LATE
        async with asyncio.timeout(left):
            while recheck is not None:
                await asyncio.sleep(recheck)
                if not await is_good():
                    break
            else:
                await asyncio.Event().wait()
        reason = REVOKED
    except TimeoutError:
        reason = EXPIRED
    connection = reference()
    if connection is not None:
        try:
            await connection.close(close_code, reason)
        except (RuntimeError, WebSocketDisconnect, OSError):
            return  # it has ended before
