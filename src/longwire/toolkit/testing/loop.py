"""An event loop in its own thread, for tests that are no coroutines: no wait for it is endless.

A loop that an application blocks, with time.sleep() or a lock, runs no timeout either: here another
thread watches it. Such a loop is left behind in its thread, which does not keep the process alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from threading import Thread, get_ident
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal

from longwire.toolkit.testing.conversation import ReceiveTimeout
from longwire.toolkit.testing.whereabouts import thread_whereabouts

MARGIN = 1.0
"""Seconds beyond its own timeout that a call may take, and in which a loop that runs answers."""


class Loop:
    """The loop of `running_loop()`, seen from other threads."""

    def __init__(self, portal: BlockingPortal) -> None:
        self.portal = portal  # for starlette's client: already its call() waits for the loop
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._is_blocked = False

    def call(self, function: Callable[..., Awaitable[Any]], *arguments: Any, timeout: float) -> Any:
        """Return what the function returns, which ends by itself within `timeout` seconds or so.

        Raises what it raises, and ReceiveTimeout if the loop is blocked.
        """
        future = self._start(function, *arguments)
        patience = MARGIN if self._is_blocked else timeout + MARGIN
        while not wait({future}, patience).done:
            self._is_blocked = not wait({self._start(asyncio.sleep, 0)}, MARGIN).done
            if self._is_blocked:
                future.cancel()
                raise ReceiveTimeout(
                    f"nothing came within {patience:g} s: the application blocks its event loop "
                    f"{self.whereabouts()}"
                )
        self._is_blocked = False
        return future.result()

    def _start(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Future[Any]:
        async def call() -> Any:
            return await function(*arguments)

        calling = call()
        try:
            return asyncio.run_coroutine_threadsafe(calling, self._loop)
        except RuntimeError:  # the loop has ended
            calling.close()
            raise

    def stop(self, is_failed: bool) -> None:
        """Let the loop end; what starlette's client still runs in it is cancelled after a failure.

        This waits for nothing.
        """
        with suppress(RuntimeError):  # it has ended
            self._start(self.portal.stop, is_failed)

    def whereabouts(self) -> str:
        """Return what its thread is doing: "in chat (app.py:12): time.sleep(60)"."""
        return thread_whereabouts(self._thread)


@contextmanager
def running_loop(
    timeout: float, backend: str = "asyncio", backend_options: dict[str, Any] | None = None
) -> Iterator[Loop]:
    """Run a loop, and let it end within `timeout` seconds and a margin.

    Raises ReceiveTimeout if it does not, unless the test has failed anyway.
    """
    started: Future[Loop] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(Loop(portal))
            await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve, backend=backend, backend_options=backend_options)
        except BaseException as error:
            if not started.done():
                started.set_exception(error)

    thread = Thread(target=run, name="longwire-test-client", daemon=True)
    thread.start()
    loop = started.result()
    try:
        yield loop
    except BaseException:
        loop.stop(True)
        thread.join(MARGIN)
        raise
    loop.stop(False)
    thread.join(timeout + MARGIN)
    if thread.is_alive():
        raise ReceiveTimeout(
            f"the event loop did not end within {timeout + MARGIN:g} s; it was {loop.whereabouts()}"
        )
