"""The application's start-up and shutdown around a test, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from longwire.asgi import SPEC_VERSION, ASGIApp, Message
from longwire.errors import StartupError
from longwire.toolkit.testing.whereabouts import whereabouts


@asynccontextmanager
async def lifespan(app: ASGIApp, timeout: float) -> AsyncIterator[dict[str, Any]]:
    """Run the start-up, yield the state it left, run the shutdown.

    An application without a lifespan has none. Raises what the application raised, StartupError
    when it says that it failed, TimeoutError when it takes more than `timeout` seconds.
    """
    run = _Run(app)
    await run.ask("startup", timeout)
    yield run.state
    await run.ask("shutdown", timeout)


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
                    if self._task.done():
                        self._task.result()  # what it raised tells more
                    raise StartupError(message.get("message") or f"{stage} failed")
            elif not self._task.done():
                place = whereabouts(self._task)
                self._task.cancel()
                raise TimeoutError(f"{stage} took more than {timeout:g} s; it was {place}")
            elif stage == "shutdown":
                self._task.result()
            else:
                # It ended at once, or raised: it knows no lifespan, and servers go on without.
                self._task.exception()
        finally:
            answer.cancel()
