"""One HTTP request and its response: ASGI's receive() and send() over an HttpProtocol.

Both directions are bounded: reading stops while the application leaves BODY_BYTES of body unread,
send() waits while the transport's buffer is over its mark.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from longwire.asgi import Message, Scope
from longwire.errors import ConnectionClosed, LifecycleError
from longwire.lifecycle import message_type
from longwire.server import reports
from longwire.server.ending import is_caused_by_closing
from longwire.server.flow import FLUSH_BYTES
from longwire.server.response import Response, plain_response

if TYPE_CHECKING:
    from longwire.server.http import HttpProtocol

BODY_BYTES = 64 * 1024
"""Bytes of request body that wait for the application before reading stops."""

WRITE_COST = 1024
"""Bytes that a smaller part of a response counts as: what it costs is the write."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """One request, from its head to the end of its response."""

    __slots__ = (
        "_awaits_continue",
        "_body",
        "_has_body_ended",
        "_is_lost",
        "_protocol",
        "_scope",
        "_told_body_end",
        "_turn",
        "_wakeup",
        "response",
    )

    def __init__(
        self, protocol: HttpProtocol, scope: Scope, response: Response, awaits_continue: bool
    ) -> None:
        self._protocol = protocol
        self._scope = scope
        self.response = response
        self._awaits_continue = awaits_continue
        self._body = bytearray()
        self._has_body_ended = False
        self._told_body_end = False
        self._is_lost = False
        self._turn = 0  # bytes sent since the others had theirs
        self._wakeup = asyncio.Event()

    async def run(self) -> None:
        """Run the application for this request, and make sure that there is a response."""
        state = self._protocol.state
        try:
            await state.application(self._scope, self.receive, self.send)
        except BaseException as error:  # a cancelled application owes an answer too
            # A client that left while it was being answered is nobody's error.
            if not (self._is_lost and is_caused_by_closing(error)):
                reports.raised(state.logger, self._scope, error)
            self._fail()
            if not isinstance(error, Exception):
                raise
        else:
            if not self.response.is_complete and not self._is_lost:
                what = "returned without a whole response to"
                reports.unanswered(state.logger, self._scope, what)
                self._fail()
        finally:
            self._protocol.on_exchange_done(self)

    def _fail(self) -> None:
        """Answer 500 if nothing has been sent; else the protocol cuts the connection."""
        if self._is_lost or not self.response.is_head_pending:
            return
        self._protocol.write(
            plain_response(
                500,
                "Internal Server Error",
                default_headers=self._protocol.state.default_headers.pairs(),
                method=self._scope["method"],
            )
        )
        self._log(500)
        self.response.keep_alive = False
        self.response.is_complete = True

    # ---- what the protocol brings -----------------------------------------------------------

    def on_body(self, data: bytes) -> None:
        if not self.response.is_complete:
            self._body += data
            if len(self._body) > BODY_BYTES:
                self._protocol.pause_reading()
            self._wakeup.set()

    def on_body_end(self) -> None:
        self._has_body_ended = True
        self._wakeup.set()

    def on_lost(self) -> None:
        self._is_lost = True
        self._wakeup.set()

    @property
    def has_body_ended(self) -> bool:
        """Whether the whole request is here."""
        return self._has_body_ended

    # ---- ASGI -------------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """ASGI's receive(): the body in parts, then http.disconnect, again and again."""
        if self._awaits_continue and not self._has_body_ended:
            self._awaits_continue = False
            if self.response.is_head_pending:
                self._protocol.write(CONTINUE)  # RFC 9110 section 10.1.1
        while not self._is_something_new():
            self._wakeup.clear()
            await self._wakeup.wait()
        if self._is_lost or self.response.is_complete or self._told_body_end:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        self._protocol.resume_reading()
        self._told_body_end = self._has_body_ended
        return {"type": "http.request", "body": body, "more_body": not self._has_body_ended}

    def _is_something_new(self) -> bool:
        if self._is_lost or self.response.is_complete:
            return True
        return bool(self._body) or (self._has_body_ended and not self._told_body_end)

    async def send(self, message: Message) -> None:
        """ASGI's send(): ConnectionClosed, an OSError, once the client is gone."""
        kind = message_type(message)
        if self._is_lost:
            raise ConnectionClosed(1006, "the client has disconnected")
        if kind == "http.response.start":
            if self.response.status:
                raise LifecycleError("'http.response.start' was sent twice")
            self.response.start(message.get("status"), message.get("headers") or ())
        elif kind == "http.response.body":
            await self._send_body(message.get("body", b""), bool(message.get("more_body", False)))
        else:
            raise LifecycleError(
                f"the application sent {kind!r} to a request; expected 'http.response.start' "
                "or 'http.response.body'"
            )

    async def _send_body(self, data: bytes, more_body: bool) -> None:
        if not self.response.status:
            raise LifecycleError("'http.response.body' was sent before 'http.response.start'")
        if self.response.is_complete:
            raise LifecycleError("'http.response.body' was sent after the last one")
        is_first = self.response.is_head_pending
        await self._protocol.writable()
        if self._is_lost:
            raise ConnectionClosed(1006, "the client has disconnected")
        if is_first and (not self._has_body_ended or self._protocol.state.is_draining):
            self.response.keep_alive = False  # the rest would be taken for the next request
        self._protocol.write(self.response.body(data, more_body))
        if is_first:
            self._log(self.response.status)
        if not more_body:
            self._wakeup.set()
            return
        self._turn += max(len(data), WRITE_COST)
        if self._turn > FLUSH_BYTES:  # a client that reads as fast would never have it wait
            self._turn = 0
            await asyncio.sleep(0)

    def _log(self, status: int) -> None:
        state = self._protocol.state
        state.counters.count_response(status)
        if state.config.access_log:
            reports.answered(state.access, self._scope, status)
