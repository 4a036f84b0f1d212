"""The application's start-up and shutdown around a test, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from longwire.asgi import SPEC_VERSION, ASGIApp, Message
from longwire.errors import StartupError
from longwire.toolkit.testing.whereabouts import whereabouts

GRACE = 1.0
"""Seconds the application has to return after its last answer; then it is cancelled."""


@asynccontextmanager
async def lifespan(app: ASGIApp, timeout: float) -> AsyncIterator[dict[str, Any]]:
    """Run the start-up, yield the state it left, run the shutdown, also after a test that failed.

    An application that raises or returns before it has answered the start-up has no lifespan.
    Raises what the application raised in its shutdown, or beside an answer that it failed;
    StartupError when it only says so, TimeoutError when it takes more than `timeout` seconds.
    The application has ended afterwards, or has resisted its cancellation for as long. What the
    test itself raised goes before all that.
    """
    run = _Run(app)
    try:
        await run.ask("startup", timeout)
        try:
            yield run.state
        except BaseException:
            with suppress(Exception):  # what the test itself raised tells more
                await run.ask("shutdown", timeout)
            raise
        await run.ask("shutdown", timeout)
    finally:
        await run.end(timeout)


class _Run:
    def __init__(self, app: ASGIApp) -> None:
        self.state: dict[str, Any] = {}
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
            "state": self.state,
        }
        call = app(scope, self._events.get, self._answers.put)
        self._task: asyncio.Task[Any] = asyncio.ensure_future(call)
        # Whatever it raised is told, or is no error: asyncio shall not log it.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def ask(self, stage: str, timeout: float) -> None:
        """Send lifespan.`stage` and wait for its answer."""
        if self._task.done() and stage == "shutdown":
            return
        self._events.put_nowait({"type": f"lifespan.{stage}"})
        answer = asyncio.ensure_future(self._answers.get())
        try:
            await asyncio.wait(
                {answer, self._task}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if answer.done():
                message = answer.result()
                if message["type"].endswith(".failed"):
                    await asyncio.wait({self._task}, timeout=timeout)
                    self._raise_its_error()  # which tells more
                    raise StartupError(message.get("message") or f"{stage} failed")
            elif not self._task.done():
                raise TimeoutError(
                    f"{stage} took more than {timeout:g} s; it was {whereabouts(self._task)}"
                )
            elif stage == "shutdown":
                self._raise_its_error()
            # Otherwise it ended at once, or raised: it knows no lifespan, as servers see it.
        finally:
            answer.cancel()

    def _raise_its_error(self) -> None:
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def end(self, timeout: float) -> None:
        """Leave no task behind: cancel what has not ended, and wait for it."""
        await asyncio.wait({self._task}, timeout=min(GRACE, timeout))
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=timeout)
