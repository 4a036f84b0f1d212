"""The application's start-up and shutdown (ASGI's lifespan protocol), in a task of its own.

auto: an application that fails before it has answered the start-up knows no lifespan, and is
served without. on: that is an error. off: nobody is asked. `startup.failed` is always an error.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any

from longwire.asgi import ASGIApp, LifespanScope, Message
from longwire.errors import LifecycleError, StartupError
from longwire.lifecycle import message_type
from longwire.server.drain import CANCEL_TIMEOUT
from longwire.server.scope import VERSIONS

logger = logging.getLogger("longwire.error")


class Stage(Enum):
    OFF = "off"  # there is no lifespan, or it is over
    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Lifespan:
    """`state` is what the application left there; every connection gets a copy."""

    def __init__(self, app: ASGIApp, mode: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._stage = Stage.OFF
        self._message = ""
        self._answered = asyncio.Event()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Run the start-up; StartupError if it fails."""
        if self._mode == "off":
            return
        self._stage = Stage.STARTING
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run())
        try:
            await self._answered.wait()
        except asyncio.CancelledError:
            await self._cancel(self._task)
            raise
        if self._stage is Stage.FAILED:
            raise StartupError(self._message or "the application's start-up failed")

    async def shutdown(self, timeout: float | None = None) -> bool:
        """Run the shutdown for at most `timeout` seconds; return whether it went well."""
        if self._stage is not Stage.STARTED or self._task is None or self._task.done():
            return True  # there is none, or it has returned already
        self._stage = Stage.STOPPING
        self._answered.clear()
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        try:
            await asyncio.wait_for(self._answered.wait(), timeout)
        except TimeoutError:
            logger.error("the application's shutdown did not end in %g s", timeout)
            await self._cancel(self._task)
            return False
        if self._stage is Stage.FAILED:
            logger.error("the application's shutdown failed: %s", self._message)
            return False
        return True

    async def _cancel(self, task: asyncio.Task[None]) -> None:
        """Give the application up; it has CANCEL_TIMEOUT seconds to clean up."""
        self._stage = Stage.FAILED  # what it raises now is not its fault
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_TIMEOUT)

    async def _run(self) -> None:
        scope: LifespanScope = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        try:
            await self._app(dict(scope), self._inbox.get, self._send)
        except BaseException as error:  # one that is cancelled has answered too
            self._on_error(error)
            if not isinstance(error, Exception):
                raise
        else:
            if self._stage is Stage.STARTING:
                self._on_error(LifecycleError("it returned without answering lifespan.startup"))
            elif self._stage is Stage.STOPPING:
                self._stage = Stage.STOPPED
        finally:
            self._answered.set()

    def _on_error(self, error: BaseException) -> None:
        if self._stage is Stage.STARTING and self._mode == "auto":
            logger.debug("the application knows no lifespan: %r", error)
            self._stage = Stage.OFF
        elif self._stage is not Stage.FAILED:
            logger.error("the application's lifespan raised", exc_info=error)
            self._message = f"{type(error).__name__}: {error}"
            self._stage = Stage.FAILED

    async def _send(self, message: Message) -> None:
        kind = message_type(message)
        following = ANSWERS.get((self._stage, kind))
        if following is None:
            raise LifecycleError(f"{kind!r} was sent while the lifespan was {self._stage.value}")
        self._stage = following
        self._message = str(message.get("message", ""))
        self._answered.set()


ANSWERS = {
    (Stage.STARTING, "lifespan.startup.complete"): Stage.STARTED,
    (Stage.STARTING, "lifespan.startup.failed"): Stage.FAILED,
    (Stage.STOPPING, "lifespan.shutdown.complete"): Stage.STOPPED,
    (Stage.STOPPING, "lifespan.shutdown.failed"): Stage.FAILED,
}
