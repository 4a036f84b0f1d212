"""An awaitable that a real asyncio Task waits for, and that can resume it at once.

    poll() -> a value        the await ends with it, without a trip through the event loop
    poll() -> PENDING        the task parks here until wake(), then poll() is asked again
    wake(at_once=True)       from an event-loop callback: the task runs inside this very call

To the Task it looks like a Future (`_asyncio_future_blocking`), to `create_task` and `wait_for`
like a coroutine. Nothing is taken from a queue before poll() runs inside the resumed task, so a
wait that is cancelled loses no message. The compiled twin in awaitable.pyx adds the `am_send`
slot, which ends an await without raising StopIteration.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from typing import Any, NoReturn

PENDING: Any = object()
"""What poll() returns to park the task."""


class _NoLoop:
    """What a future asks of its loop when it is made."""

    def get_debug(self) -> bool:
        return False


AWAKE: asyncio.Future[None] = asyncio.Future(loop=_NoLoop())  # type: ignore[arg-type]
"""What a task is told it has waited for: a real Future that is done, which a task reads without a
call; ours it would have to ask."""
AWAKE.set_result(None)


def _running_task() -> Callable[[asyncio.AbstractEventLoop], object]:
    """Return what tells a loop's running task, without a call of Python's where that can be."""
    if sys.version_info < (3, 12):  # later it is written in C
        tasks: dict[Any, object] = asyncio.tasks._current_tasks  # type: ignore[attr-defined]
        return tasks.get
    return asyncio.current_task


running_task = _running_task()


class Awaitable:
    """One await of receive() or send(); subclasses define poll() and forsake()."""

    # Defaults of the class, not __init__: most awaits end at their first poll() and set none.
    _loop: asyncio.AbstractEventLoop  # set by the subclass: asking for the running one is slower

    # None until it is parked: asyncio.isfuture() would take it for a Future that it can wait for.
    _asyncio_future_blocking: bool | None = None
    _callback: Callable[[Any], object] | None = None
    _context: Context | None = None
    _cancelled = False
    _message: str | None = None

    def poll(self) -> Any:
        """Return the value of the await, or PENDING after arranging for wake()."""
        raise NotImplementedError

    def forsake(self) -> None:
        """The task no longer waits: undo what poll() arranged. Idempotent."""

    def wake(self, at_once: bool) -> None:
        """Resume the parked task; harmless if none is parked.

        `at_once` resumes inside this call, in the task's own context. It yields to call_soon
        when another task is running: a task cannot be entered from within a task.
        """
        callback, context = self._callback, self._context
        if callback is None or context is None:
            return
        self._callback = self._context = None
        waited_for = self if self._cancelled else AWAKE
        if at_once and running_task(self._loop) is None:
            context.run(callback, waited_for)
        else:
            self._loop.call_soon(callback, waited_for, context=context)

    # The coroutine's side, driven by the task.

    def __await__(self) -> Awaitable:
        return self

    def __iter__(self) -> Awaitable:
        return self

    def __next__(self) -> Any:
        result = self.poll()
        if result is PENDING:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration(result)

    def send(self, value: object) -> Any:
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> NoReturn:
        self._callback = self._context = None
        self.forsake()
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        raise value if traceback is None else value.with_traceback(traceback)

    def close(self) -> None:
        self._callback = self._context = None
        self.forsake()

    # The future's side, asked by the task when it parks, wakes or is cancelled.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        self._callback = callback
        self._context = context

    def cancel(self, msg: str | None = None) -> bool:
        if self._callback is None:
            return False
        self._cancelled = True
        self._message = msg
        self.forsake()
        self.wake(False)
        return True

    def result(self) -> None:
        if self._cancelled:
            # anyio's cancel scopes recognise their own cancellations by the message.
            raise (
                asyncio.CancelledError()
                if self._message is None
                else asyncio.CancelledError(self._message)
            )

    def done(self) -> bool:
        return self._callback is None
