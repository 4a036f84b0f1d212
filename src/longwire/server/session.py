"""One WebSocket connection: the engine, the lifecycle and the application's task meet here.

    bytes --engine--> Inbox --receive()--> the application --send()--> engine --Outbox--> bytes

- The waiting task is resumed inside the read callback, without a trip through the event loop.
- Every ending fixes once what the application is told (Inbox.end) and what is logged (Ending).
- The server closes TCP: after both close frames, after the close timeout, or when it gives up.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from longwire.asgi import Message, Scope
from longwire.engine import Closed, Failed, Ping, Pong
from longwire.engine.engine import Engine
from longwire.engine.prepared import Prepared
from longwire.errors import ConnectionClosed, LifecycleError
from longwire.lifecycle import Cause, State, after_send, message_data
from longwire.server import reports
from longwire.server.awaitable import Awaitable
from longwire.server.closing import Closing, pause_reading, resume_reading
from longwire.server.counters import Failure
from longwire.server.ending import Ending, Initiator, Traffic, is_caused_by_closing
from longwire.server.inbox import Inbox
from longwire.server.keepalive import Keepalive, Verdict
from longwire.server.lifetime import expiry
from longwire.server.opening import Opening
from longwire.server.outbox import Outbox
from longwire.server.state import ServerState
from longwire.server.stream import StreamProtocol
from longwire.server.timers import NEVER
from longwire.server.transport import Transport

SLICE_BYTES = 64 * 1024
"""Bytes parsed before the inbox is asked again whether it is full: one read can bring 256 KiB of
seven-byte frames, which would become two megabytes of messages. The payload of one frame is no
such danger, and is not sliced."""

EARLY_BYTES = 64 * 1024
"""Bytes kept of a client that speaks before its handshake is answered, before reading stops."""

CONNECTING = State.CONNECTING
OPEN = State.OPEN
CLOSED = State.CLOSED


class Send(Awaitable):
    """One `await send(message)`."""

    _session: Session
    _sent: Message

    def __init__(self) -> None:
        raise TypeError("Session.send() makes these")  # one without a session has nothing to ask

    def poll(self) -> Any:
        return self._session.deliver(self, self._sent)

    def forsake(self) -> None:
        self._session.forget(self)


def new_send(session: Session, loop: asyncio.AbstractEventLoop, message: Message) -> Send:
    send = Send.__new__(Send)  # which costs a third of a call of the type
    send._loop = loop
    send._session = session
    send._sent = message
    return send


class Session(StreamProtocol):
    """A connection from its upgrade request to its end. Its public methods are asyncio's Protocol,
    the wheel's on_timer, the inbox's reader, the server's shutdown and abort, and ASGI's send.
    """

    __slots__ = (
        "_accepted_at",
        "_closing",
        "_early",
        "_early_at",
        "_ending",
        "_engine",
        "_expires_at",
        "_inbox",
        "_is_read_paused",
        "_keepalive",
        "_loop",
        "_messages_received",
        "_messages_sent",
        "_opening",
        "_outbox",
        "_scope",
        "_server",
        "_size_received",
        "_state",
        "_transport",
    )

    def __init__(self, server: ServerState, transport: Transport, opening: Opening) -> None:
        super().__init__()
        self._server = server
        self._loop = server.loop
        self._transport: Transport | None = transport
        self._scope: Scope = opening.scope
        self._opening: Opening | None = opening  # until it is accepted
        self._engine: Engine | None = None  # from accept on
        # Read but not parsed: before accept, and while the inbox is full.
        self._early = opening.early
        self._early_at = 0  # where what is left of it begins
        self._inbox = Inbox(self, server.loop, server.config.ws_max_queue)
        self._outbox = Outbox(transport, server.flusher)
        self._state = CONNECTING  # what the application may send
        self._ending: Ending | None = None
        self._keepalive: Keepalive | None = None  # from the first ping on
        self._closing: Closing | None = None
        self._is_read_paused = False
        self._accepted_at = 0.0
        self._expires_at = NEVER
        self._messages_received = 0
        self._messages_sent = 0
        self._size_received = 0

    def start(self) -> None:
        """Run the application; the transport's protocol is this session by now."""
        server = self._server
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=server.config.ws_send_buffer)
        if server.config.ws_handshake_timeout:
            server.timers.schedule(self, server.config.ws_handshake_timeout)
        task = server.start(server.application(self._scope, self._inbox.receive, self.send))
        task.add_done_callback(self._on_application_done, context=server.context)

    # ---- asyncio.Protocol: bytes come in ----------------------------------------------------

    def connection_made(self, transport: Transport) -> None:
        """The transport was made for HTTP and handed over: nothing is new."""

    def data_received(self, data: bytes) -> None:
        self._size_received += len(data)
        if self._engine is None or self._early:
            self._keep_early(data)
            return
        size = len(data)
        if size <= SLICE_BYTES or size <= self._engine.payload_missing:
            self._parse(data)
        else:
            self._early = data
            self._parse_early()

    def eof_received(self) -> bool:
        return False  # closes the transport: a half-closed WebSocket is a lost one

    def pause_writing(self) -> None:
        self._outbox.pause()

    def resume_writing(self) -> None:
        self._outbox.resume()

    def connection_lost(self, error: Exception | None) -> None:
        server = self._server
        self._transport = None
        server.closed(self)
        server.timers.cancel(self)
        if self._engine is not None:
            self._engine.receive_eof()
        cause = str(error) if error else Cause.LOST
        self._end(1006, cause, Initiator.NOBODY)
        self._tell_end(1006, cause)
        self._outbox.lose()
        self._inbox.detach()
        self._closing = None  # nothing of an ended connection refers to it: no garbage is left
        server.counters.count_traffic(self.traffic())
        if self._accepted_at:
            self._report_closed()
        elif self._opening is not None:
            self._opening.on_lost()

    def _keep_early(self, data: bytes) -> None:
        """Keep what cannot be parsed yet; reading stops over the bound."""
        if self._engine is None and self._state is CLOSED:
            return
        self._early = self._early[self._early_at :] + data
        self._early_at = 0
        if len(self._early) > EARLY_BYTES:
            self._pause_reading()

    def _parse_early(self) -> None:
        """Parse what was kept, slice by slice, until the inbox is full."""
        engine = self._engine
        while self._early and not self._is_read_paused:
            left = len(self._early) - self._early_at
            missing = min(engine.payload_missing, left)  # type: ignore[union-attr]
            end = self._early_at + max(SLICE_BYTES, missing)
            data = self._early[self._early_at : end]
            if end < len(self._early):
                self._early_at = end
            else:
                self._early = b""
                self._early_at = 0
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        events = self._engine.receive_data(data)  # type: ignore[union-attr]
        if not events:
            return
        ending = None
        size = 0
        for event in events:
            kind = type(event)
            if kind is str or kind is bytes:
                size += len(event)
            else:
                ending = self._act_on_control(events)
                events = [event for event in events if type(event) in (str, bytes)]
                size = sum(map(len, events))
                break
        if events:
            self._messages_received += len(events)
            if self._inbox.put(events, size):
                self._pause_reading()
        if ending is not None:
            self._on_peer_ended(ending)

    def _act_on_control(self, events: list[Any]) -> Closed | Failed | None:
        """Note pings and pongs; return the peer's ending, the last event, if there is one."""
        for event in events:
            if type(event) is Ping:
                self._outbox.add(0)  # the engine has the pong ready
            elif type(event) is Pong and self._keepalive is not None:
                seconds = self._keepalive.on_pong(event.payload, monotonic())
                if seconds is not None:
                    self._server.counters.count_round_trip(seconds)
                    self._wait(self._server.ping_interval)
        last = events[-1]
        return last if type(last) is Closed or type(last) is Failed else None

    def _pause_reading(self) -> None:
        if self._transport is not None:
            self._is_read_paused = True
            pause_reading(self._transport)

    def on_inbox_empty(self) -> None:
        # Not at once: the application may be deep in its own loop, and others have their turn.
        self._server.loop.call_soon(self._resume_reading)

    def _resume_reading(self) -> None:
        """The inbox has room: first what was read and kept, then the wire."""
        if self._transport is None or self._transport.is_closing():
            return
        self._is_read_paused = False
        self._parse_early()
        if not self._is_read_paused:
            resume_reading(self._transport)

    # ---- the application's messages ---------------------------------------------------------

    def send(self, message: Message) -> Send:
        """ASGI's send(); awaiting it raises ConnectionClosed, an OSError, after the end."""
        return new_send(self, self._loop, message)

    def deliver(self, send: Send, message: Message) -> Any:
        """Carry out one message of the application, or return PENDING with `send` parked."""
        if self._state is OPEN and type(message) is dict:
            fields = message
            if fields.get("type") == "websocket.send":
                if self._outbox.is_full():
                    return self._outbox.park(send)
                self._send_data(fields)
                return None
        elif self._state is CLOSED:
            ending = self._ending  # fixed whenever the state is CLOSED
            raise ConnectionClosed(ending.code, ending.cause)  # type: ignore[union-attr]
        following = after_send(self._state, message)
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            if self._state is CONNECTING:
                self._refuse(403, "Forbidden", Failure.APPLICATION)
            else:
                self._close(message)
        elif self._outbox.is_full():
            return self._outbox.park(send)
        elif kind == "websocket.send":
            self._send_data(dict(message))
        elif kind == "websocket.http.response.start":
            self._unanswered().start_denial(message)
            self._server.timers.cancel(self)
        elif self._unanswered().continue_denial(message):
            self._on_refused()
        self._state = following
        return None

    def forget(self, send: Send) -> None:
        """A send that waited was cancelled: its message has not been sent."""
        self._outbox.forget(send)

    def _send_data(self, message: dict[str, Any]) -> None:
        data = message.get("text")
        if type(data) is not str or message.get("bytes") is not None:
            data = message_data(message)
        is_plain = len(message) == 2  # type and data, as nearly always
        compress = is_plain or message.get("compress", True)
        self._engine.send(data, compress)  # type: ignore[union-attr]
        self._messages_sent += 1
        self._outbox.add(len(data))
        if not is_plain and "attach" in message:
            message["attach"](self.send_prepared)

    def send_prepared(self, message: Prepared) -> bool:
        """Send a message that goes to many; False if it has to go through send(), which waits."""
        if message is None:  # which C's types let through
            raise TypeError("a prepared message is needed; got None")
        if self._state is not OPEN or self._outbox.is_full():
            return False
        self._engine.send_prepared(message)  # type: ignore[union-attr]
        self._messages_sent += 1
        self._outbox.add(message.size)
        return True

    def _close(self, message: Message) -> None:
        code = message.get("code", 1000)
        if code is None:  # to the engine that would mean: no code at all
            raise LifecycleError("a close code is an int; got None")
        self._start_closing(code, message.get("reason") or "", Initiator.APPLICATION)

    # ---- the answer to the handshake --------------------------------------------------------

    def _unanswered(self) -> Opening:
        """Return the handshake; LifecycleError if it has been accepted.

        Headers may be any iterable, and so run code that accepts while something else is sent. A
        result is held while it is called; an attribute is not, in C, nor is None refused there.
        """
        if self._opening is None:
            raise LifecycleError("the handshake has been accepted already")
        return self._opening

    def _accept(self, message: Message) -> None:
        server = self._server
        answer, engine = self._unanswered().accept(message)
        self._unanswered()  # still: a second answer would be no frame
        self._engine = engine
        self._opening = None
        self._outbox.open(engine, answer)
        self._accepted_at = server.loop.time()
        self._expires_at = expiry(self._accepted_at, server.config.ws_max_lifetime)
        self._wait(server.ping_interval)
        if self._early:
            server.loop.call_soon(self._resume_reading)

    def _refuse(self, status: int, text: str, failure: Failure) -> None:
        """Answer the handshake with a plain HTTP error."""
        if self._transport is not None:
            self._unanswered().refuse(status, text, failure)
        self._on_refused()

    def _on_refused(self) -> None:
        self._end(1006, Cause.REFUSED, Initiator.SERVER)
        self._tell_end(1006, Cause.REFUSED)
        if self._transport is not None:
            self._begin_closing().linger()

    # ---- the end ----------------------------------------------------------------------------

    def _end(self, code: int, cause: str, by: Initiator) -> None:
        """Fix how this connection ended, for the log; the first ending is the one."""
        if self._ending is None:
            self._ending = Ending(code, cause, by)

    def _tell_end(self, code: int, reason: str) -> None:
        """Let the application hear of the end, and send nothing more."""
        self._state = CLOSED
        assert self._ending is not None
        self._inbox.end(code, reason, self._ending.by.word)
        self._outbox.wake()

    def _start_closing(self, code: int, reason: str, by: Initiator) -> None:
        """Send our close frame; the peer's answer, and TCP's end, have the close timeout.

        The answer may lie behind messages that nobody has room for: from now on they are read, and
        the engine drops them.
        """
        self._engine.close(code, reason)  # type: ignore[union-attr]
        self._loop.call_soon(self._resume_reading)
        self._end(code, reason, by)
        self._state = CLOSED
        self._outbox.write()
        self._outbox.wake()
        self._begin_closing().give_time()

    def _on_peer_ended(self, ending: Closed | Failed) -> None:
        """The peer closed, or broke the protocol; the engine has queued our close frame."""
        is_close = type(ending) is Closed
        self._end(ending.code, ending.reason, Initiator.CLIENT if is_close else Initiator.SERVER)
        self._tell_end(ending.code if is_close else 1006, ending.reason)
        self._outbox.write()
        if is_close:
            self._begin_closing().close()
        else:
            self._early = b""
            self._early_at = 0
            self._is_read_paused = False
            self._begin_closing().linger()

    def _begin_closing(self) -> Closing:
        """From now on a peer that takes nothing for `ws_close_timeout` seconds is cut off."""
        if self._closing is None:
            assert self._transport is not None
            timeout = self._server.config.ws_close_timeout
            self._closing = Closing(self, self._server.timers, self._transport, timeout)
        return self._closing

    def shutdown(self) -> None:
        """The server is going away: close with the drain code, or refuse the handshake."""
        if self._state is CONNECTING:
            self._refuse(503, "Service Unavailable", Failure.DRAIN)
        elif self._state is OPEN:
            self._start_closing(self._server.config.ws_drain_code, Cause.DRAIN, Initiator.SERVER)

    def abort(self) -> None:
        """Cut the connection now."""
        if self._transport is not None:
            self._transport.abort()

    # ---- the clock --------------------------------------------------------------------------

    def on_timer(self) -> None:
        """The deadline of the present state has passed."""
        if self._state is CONNECTING:
            timeout = self._server.config.ws_handshake_timeout
            what = f"neither accepted nor refused within {timeout:g} s:"
            reports.unanswered(self._server.logger, self._scope, what)
            self._refuse(503, "Service Unavailable", Failure.TIMEOUT)
        elif self._closing is not None:
            self._closing.on_timer()
        elif self._server.loop.time() >= self._expires_at:
            self._start_closing(self._server.config.ws_drain_code, Cause.LIFETIME, Initiator.SERVER)
        elif self._state is OPEN:
            self._keep_alive()

    def _wait(self, seconds: float) -> None:
        """Wake the open connection in that time, 0 for never, or at its expiry, if sooner."""
        delay = min(seconds or NEVER, self._expires_at - self._server.loop.time())
        if delay == NEVER:
            self._server.timers.cancel(self)
        else:
            self._server.timers.schedule(self, delay)

    def _keep_alive(self) -> None:
        server = self._server
        if self._keepalive is None:
            self._keepalive = Keepalive()
        progress = self._size_received + (self._outbox.size_taken if self._outbox.is_paused else 0)
        is_judged = bool(server.ping_timeout) and not self._is_read_paused
        verdict = self._keepalive.on_timer(progress, is_judged)
        if verdict is Verdict.TIMEOUT:
            self._start_closing(1011, Cause.KEEPALIVE, Initiator.SERVER)
            self._tell_end(1006, Cause.KEEPALIVE)
            return
        if verdict is Verdict.PING:
            self._engine.ping(self._keepalive.ping(progress, monotonic()))  # type: ignore[union-attr]
            self._outbox.add(0)
        self._wait(server.ping_timeout or server.ping_interval)

    # ---- the application's end, the log and the figures -------------------------------------

    def _on_application_done(self, task: asyncio.Task[None]) -> None:
        """The application returned or raised: end the connection if it has not."""
        self._server.ended(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not (self._state is CLOSED and is_caused_by_closing(error)):
            reports.raised(self._server.logger, self._scope, error)
        if self._state is OPEN:
            code, reason = (1000, "") if error is None else (1011, Cause.ERROR)
            self._start_closing(code, reason, Initiator.APPLICATION)
        elif self._state is not CLOSED and self._opening is not None:
            if error is None:
                reports.unanswered(self._server.logger, self._scope, "returned without answering")
            if self._opening.is_answered:
                self._on_refused()  # the body stays short: the client sees it cut
            else:
                self._refuse(500, "Internal Server Error", Failure.ERROR)

    def _report_closed(self) -> None:
        server, ending = self._server, self._ending
        assert ending is not None
        server.counters.count_closed(ending)
        if server.config.access_log:
            seconds = server.loop.time() - self._accepted_at
            reports.closed(server.access, self._scope, ending, seconds, self.traffic())

    def traffic(self) -> Traffic:
        """Return what has gone over this connection so far."""
        return Traffic(*self.figures()[:4])

    def figures(self) -> tuple[int, ...]:
        """Return the traffic, and the bytes that wait for the peer: fast, a scrape asks all."""
        outbox, received = self._outbox, self._messages_received
        sent = self._messages_sent
        return received, self._size_received, sent, outbox.size_sent, outbox.size_waiting
