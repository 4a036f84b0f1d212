"""Going away: tell the applications while their sockets are open, then close them in batches.

    notice, a moment  ->  batches of close frames, with jitter  ->  close handshakes  ->  deadline

One path for every ending of the server: SIGTERM, SIGINT, and whatever recycles a process.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longwire.server.state import Connection, ServerState

NOTICE_SECONDS = 0.1
"""How long applications have, once told, with their sockets open: to save, to say goodbye. One turn
of the loop would do for those that await the notice itself, and for no others."""

NOTICE_SHARE = 0.1
"""The part of the deadline that this takes at most."""

BATCH = 100
"""Connections closed together: their clients come back together, to a server that is starting."""

BATCH_INTERVAL = 0.05
"""Seconds between batches on average: 2,000 closes, so 2,000 reconnects, a second."""

SPREAD = 0.5
"""The part of the deadline in which all batches leave; the rest is for the close handshakes."""

CANCEL_TIMEOUT = 1.0
"""Seconds that cancelled applications have for their clean-up once the deadline has passed."""


class DrainNotice:
    """Set once, when the server begins to go away.

    It is `scope["extensions"]["longwire.drain"]["notice"]`. An application awaits `wait()` beside
    its sockets, or asks `is_set()`; they are still open then, so that it can say goodbye.
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


async def drain(state: ServerState, forced: asyncio.Event) -> None:
    """End every connection and application within `timeout_graceful_shutdown` seconds.

    What is left at the deadline, or as soon as `forced` is set, is cut and cancelled.
    """
    state.drain_notice.set()
    timeout = state.config.timeout_graceful_shutdown
    ending = asyncio.ensure_future(_end_all(state, timeout))
    force = asyncio.ensure_future(forced.wait())
    try:
        await asyncio.wait({ending, force}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        force.cancel()
        ending.cancel()
        await asyncio.gather(force, ending, return_exceptions=True)
    await _cut(state)


async def _end_all(state: ServerState, timeout: float | None) -> None:
    if state.tasks:
        moment = NOTICE_SECONDS if timeout is None else min(NOTICE_SECONDS, timeout * NOTICE_SHARE)
        await asyncio.sleep(moment)
    await _close_in_batches(list(state.connections), timeout)
    await state.idle.wait()


async def _close_in_batches(connections: list[Connection], timeout: float | None) -> None:
    random.shuffle(connections)
    batches = [connections[i : i + BATCH] for i in range(0, len(connections), BATCH)]
    interval = BATCH_INTERVAL
    if timeout is not None:
        interval = min(interval, timeout * SPREAD / max(len(batches), 1))
    for batch in batches:
        for connection in batch:
            connection.shutdown()
        if batch is not batches[-1]:
            await asyncio.sleep(interval * random.uniform(0.5, 1.5))


async def _cut(state: ServerState) -> None:
    """Abort what is still open and cancel what still runs."""
    if state.idle.is_set():
        return
    state.logger.warning(
        "cutting %d connections and %d applications that did not end in time",
        len(state.connections),
        len(state.tasks),
    )
    for connection in list(state.connections):
        connection.abort()
    for task in list(state.tasks):
        task.cancel()
    try:
        await asyncio.wait_for(state.idle.wait(), CANCEL_TIMEOUT)
    except TimeoutError:
        for task in state.tasks:
            state.logger.error("an application did not end when it was cancelled: %r", task)
