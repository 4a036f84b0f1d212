"""A connection in process: what a right server would do between the application and the client.

    the client's send()    -> _inbox  -> the application's receive()
    the application's send -> _outbox -> the client's receive()

Close codes are those that a client would see on the wire, and faults are a server's: an
application that raises closes with 1011, a lost client is 1006, a refusal is HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from longwire.asgi import ASGIApp, Header, Message, Scope
from longwire.errors import ConnectionClosed
from longwire.lifecycle import Cause, State, acceptance, after_send, closing, message_data
from longwire.toolkit.disconnect import ClosedBy, WebSocketDisconnect, is_only_the_end
from longwire.toolkit.testing.conversation import Data, ReceiveTimeout, refused
from longwire.toolkit.testing.whereabouts import whereabouts

SEND_BUFFER_BYTES = 1024 * 1024
"""Bytes that wait for the test before the application's send() waits: the server's default. An
application that sends without end is stopped there, instead of hanging the test."""

FRAME_BYTES = 2
"""What a message costs beside its data, so that empty ones fill the buffer too."""

TURN = 64
"""Messages that an application sends before all others have their turn, as on the server: else a
test would hear of the first small one when half a million have filled the buffer."""

GRACE = 1.0
"""Seconds an application has to end by itself once its client has left; then it is cancelled."""

APPLICATION = ClosedBy.APPLICATION


class Drain:
    """The server's notice that it goes away, for `scope["extensions"]["longwire.drain"]`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def set(self) -> None:
        self._event.set()


class MemoryConversation:
    """One connection to an application in this event loop."""

    def __init__(self, app: ASGIApp, scope: Scope, *, raise_app_exceptions: bool = True) -> None:
        self.scope = scope
        self.subprotocol: str | None = None
        self.headers: Sequence[Header] = ()
        self.client_state = State.CONNECTING
        self.application_state = State.CONNECTING
        self._app = app
        self._raises = raise_app_exceptions
        self._drain = Drain()
        scope.setdefault("extensions", {})["longwire.drain"] = {"notice": self._drain}
        self._changed = asyncio.Condition()
        self._inbox: deque[Message] = deque([{"type": "websocket.connect"}])
        self._outbox: deque[Data] = deque()
        self._unread = 0  # bytes in the outbox
        self._bound = SEND_BUFFER_BYTES
        self._disconnect: Message | None = None  # what the application hears at the end
        self._end: WebSocketDisconnect | None = None  # what the client sees at the end
        self._denial: tuple[int, list[Header], bytes] | None = None
        self._counts = [0, 0]  # messages the application has received and sent
        self._error: BaseException | None = None
        self._is_error_told = False
        self._is_cancelled = False  # by finish()
        self._task: asyncio.Task[None] | None = None

    # ---- the client -------------------------------------------------------------------------

    async def open(self, timeout: float) -> None:
        self._task = asyncio.create_task(self._run())
        await self._wait_until(
            lambda: self.application_state is State.OPEN or self._end is not None, timeout
        )
        if self._denial is not None and self._end is not None:
            self.client_state = State.CLOSED
            self._tell_error()
            raise refused(*self._denial, self._end.reason)
        self.client_state = State.OPEN

    async def send(self, data: Data) -> None:
        if self.client_state is not State.OPEN or self._end is not None:
            self._tell_error()
            raise self._end or WebSocketDisconnect(1006, "")
        key = "text" if isinstance(data, str) else "bytes"
        await self._notify(lambda: self._inbox.append({"type": "websocket.receive", key: data}))

    async def receive(self, timeout: float) -> Data:
        await self._wait_until(lambda: bool(self._outbox) or self._end is not None, timeout)
        if self._outbox:
            data = self._outbox.popleft()
            await self._notify(lambda: self._take(data))
            return data
        self.client_state = State.CLOSED
        self._tell_error()
        assert self._end is not None
        raise self._end

    def _take(self, data: Data) -> None:
        self._unread -= FRAME_BYTES + len(data)

    async def close(self, code: int, reason: str) -> None:
        await self._leave(ClosedBy.CLIENT, code, reason, code, reason)

    async def lose(self) -> None:
        await self._leave(ClosedBy.NOBODY, 1006, Cause.LOST, 1006, "")

    async def lose_pongs(self) -> None:
        await self._leave(ClosedBy.SERVER, 1006, Cause.KEEPALIVE, 1011, Cause.KEEPALIVE)

    async def stop_reading(self) -> None:
        self._bound = 0

    async def resume_reading(self) -> None:
        await self._notify(lambda: setattr(self, "_bound", SEND_BUFFER_BYTES))

    async def go_away(self) -> None:
        """Tell the application that the server is going away; its sockets are still open."""
        self._drain.set()

    async def drain(self, code: int = 1012) -> None:
        """Close as a server that goes away does."""
        self._drain.set()
        await self._leave(ClosedBy.SERVER, code, Cause.DRAIN, code, Cause.DRAIN)

    async def _leave(self, by: ClosedBy, heard: int, why: str, seen: int, shown: str) -> None:
        """End the connection: the application hears one code, the client sees another."""
        self.client_state = State.CLOSED
        await self._notify(lambda: self._finish(by, heard, why, seen, shown))

    async def finish(self, timeout: float) -> None:
        task = self._task
        if task is None:
            return
        await asyncio.wait({task}, timeout=min(GRACE, timeout))
        if not task.done():
            self._is_cancelled = True
            task.cancel()
            await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            raise ReceiveTimeout(
                f"the application did not end within {timeout:g} s of being cancelled; "
                f"it was {whereabouts(task)}"
            )
        self._tell_error()

    # ---- the application --------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._app(self.scope, self._receive, self._send)
        except asyncio.CancelledError as error:
            await self._notify(partial(self._on_cancelled, error))
            raise
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            await self._notify(partial(self._on_raised, error))
        except BaseException as error:
            # pytest.fail(), or a pytest.raises() that nothing raised in: no Exception, and raised
            # as it is it would end the synchronous client's event loop before the test hears it.
            failure = AssertionError(f"a check failed in the application: {error}")
            failure.__cause__ = error
            await self._notify(partial(self._on_raised, failure))
        else:
            await self._notify(self._on_returned)

    def _on_cancelled(self, error: asyncio.CancelledError) -> None:
        """Take a cancellation for what it is to a server: an error, while the client is there.

        As it is it would cancel the test.
        """
        if self._is_cancelled or self._disconnect is not None:
            self._finish(APPLICATION, 1006, "", 1006, "the application was cancelled")
            return
        failure = RuntimeError("the application ended with a CancelledError that it did not catch")
        failure.__cause__ = error
        self._on_raised(failure)

    def _on_raised(self, error: Exception) -> None:
        if self._disconnect is None or not is_only_the_end(error):
            self._error = error
        if self.application_state is State.OPEN:
            self._finish(APPLICATION, 1011, Cause.ERROR, 1011, Cause.ERROR)
        else:
            self._deny(500, [], b"Internal Server Error", f"the application raised {error!r}")

    def _on_returned(self) -> None:
        if self.application_state is State.OPEN:
            self._finish(APPLICATION, 1000, "", 1000, "")
        elif self._end is None:
            self._deny(500, [], b"Internal Server Error", "the application returned unanswered")

    async def _receive(self) -> Message:
        async with self._changed:
            await self._changed.wait_for(lambda: self._inbox or self._disconnect is not None)
            if self._inbox:
                message = self._inbox.popleft()
                self._counts[0] += message["type"] == "websocket.receive"
                return message
        assert self._disconnect is not None
        await _let_others_run()
        return dict(self._disconnect)

    async def _send(self, message: Message) -> None:
        if self._counts[1] % TURN == TURN - 1:
            await _let_others_run()
        if self._disconnect is not None:
            await _let_others_run()
            raise ConnectionClosed(self._disconnect["code"], self._disconnect["reason"])
        following = after_send(self.application_state, message)
        async with self._changed:
            if message["type"] == "websocket.send":
                await self._changed.wait_for(self._has_room)
                if self._disconnect is not None:
                    raise ConnectionClosed(self._disconnect["code"], self._disconnect["reason"])
            self._act(message)
            self.application_state = following
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._unread < self._bound or self._disconnect is not None

    def _act(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.subprotocol, self.headers = acceptance(message, self.scope["subprotocols"])
        elif kind == "websocket.send":
            data = message_data(message)
            self._outbox.append(data)
            self._unread += FRAME_BYTES + len(data)
            self._counts[1] += 1
        elif kind == "websocket.close":
            if self.application_state is State.OPEN:
                code, reason = closing(message)
                self._finish(APPLICATION, code, reason, code, reason)
            else:  # the code goes nowhere, so any will do
                code, reason = message.get("code", 1000), message.get("reason") or ""
                self._deny(403, [], b"Forbidden", f"closed with {code} {reason!r} before accept")
        elif kind == "websocket.http.response.start":
            self._denial = (message["status"], list(message.get("headers") or ()), b"")
        else:
            status, headers, body = self._denial or (500, [], b"")
            body += message.get("body", b"")
            self._denial = (status, headers, body)
            if not message.get("more_body", False):
                self._deny(status, headers, body, "the application's denial response")

    def _deny(self, status: int, headers: list[Header], body: bytes, cause: str) -> None:
        self._denial = (status, headers, body)
        self._finish(ClosedBy.SERVER, 1006, Cause.REFUSED, 1006, cause)

    def _finish(self, by: ClosedBy, heard: int, why: str, seen: int, shown: str) -> None:
        """Fix the end, for either side; the first one is the one."""
        if self._end is None:
            self._disconnect = {
                "type": "websocket.disconnect", "code": heard, "reason": why, "by": by.value
            }  # fmt: skip
            self._end = WebSocketDisconnect(seen, shown)

    # ---- waiting ----------------------------------------------------------------------------

    async def _notify(self, change: Any) -> None:
        async with self._changed:
            change()
            self._changed.notify_all()

    async def _wait_until(self, predicate: Any, timeout: float) -> None:
        assert self._task is not None
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(predicate)
        except TimeoutError:
            received, sent = self._counts
            raise ReceiveTimeout(
                f"nothing came within {timeout:g} s; the application was "
                f"{whereabouts(self._task)} (it has received {received} messages and sent {sent})"
            ) from None

    def _tell_error(self) -> None:
        """Raise what the application raised, once."""
        if self._error is not None and self._raises and not self._is_error_told:
            self._is_error_told = True
            raise self._error


async def _let_others_run() -> None:
    """Go once around the event loop: an application that asks on and on after the end would
    otherwise never give it back, and nobody could cancel it.
    """
    await asyncio.sleep(0)
