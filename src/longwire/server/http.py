"""HTTP/1.1 on a connection (RFC 9112), parsed by httptools, and the hand-over to a WebSocket.

- Requests are answered one after the other, in order; those that a client pipelines wait, at
  most MAX_PIPELINED of them, while reading is paused.
- A head is bounded in bytes, in headers and in time, before anything is made of it.
- A valid upgrade leaves this protocol for good: the transport gets a Session instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import Any

import httptools

from longwire.asgi import Header
from longwire.engine.handshake import parse_upgrade
from longwire.errors import HandshakeError
from longwire.server.closing import Closing, pause_reading, resume_reading
from longwire.server.counters import Failure
from longwire.server.exchange import Exchange
from longwire.server.head import (
    HEAD_TOO_LARGE,
    TARGET_TOO_LONG,
    UNAVAILABLE,
    Refused,
    awaits_continue,
    check_head,
    is_faulty_chunked,
    names_websocket,
    without_upgrade,
)
from longwire.server.opening import Opening
from longwire.server.peer import Peer
from longwire.server.response import Response
from longwire.server.scope import intern_header, make_scope
from longwire.server.session import Session
from longwire.server.state import ServerState
from longwire.server.stream import StreamProtocol
from longwire.server.transport import Transport

MAX_PIPELINED = 64
"""Requests that wait behind the one being answered; one more is refused, in its turn."""

CLOSE_TIMEOUT = 5.0
"""Seconds without a sign that the client reads the last response, until it is cut off."""

WRITE_BUFFER_BYTES = 64 * 1024
"""Bytes of response that the transport keeps before send() waits."""


class Phase(Enum):
    """Whether the connection takes more requests."""

    OPEN = "open"
    LAST = "last"  # no: what is under way is answered, then it closes
    CLOSING = "closing"  # the last bytes are written; what the client still sends is thrown away


class HttpProtocol(StreamProtocol):
    """A connection that speaks HTTP, until it ends or becomes a WebSocket."""

    __slots__ = (
        "_closing",
        "_exchange",
        "_fields_size",
        "_head_size",
        "_headers",
        "_ignored",
        "_parser",
        "_peer",
        "_phase",
        "_pipeline",
        "_refused",
        "_target",
        "_transport",
        "_upgrade",
        "_writable",
        "state",
    )

    def __init__(self, state: ServerState, peer: Peer | None = None) -> None:
        """`peer` is who a proxy says is connected; otherwise the transport knows."""
        super().__init__()
        self.state = state
        self._peer = peer
        self._transport: Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[Header] = []
        self._fields_size = 0  # bytes of the headers, or trailers, so far
        self._head_size = 0
        self._ignored: list[Header] | None = None  # headers with another protocol's upgrade
        self._exchange: Exchange | None = None  # the request being answered
        self._pipeline: deque[Exchange] = deque()  # the ones behind it
        self._upgrade: Opening | None = None  # until it is handed over, behind the pipeline
        self._refused: Refused | None = None  # what is answered behind the pipeline
        self._phase = Phase.OPEN
        self._closing: Closing | None = None  # in its phase
        self._writable: asyncio.Event | None = None  # while the transport's buffer is full

    # ---- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._peer = self._peer or Peer(transport)
        if self.state.config.proxy_headers:
            self._peer.believe_if_among(self.state.trusted_proxies)
        self.state.opened(self, self._peer.client)
        self._wait(self.state.config.timeout_headers)
        if self.state.is_draining:
            self.close()  # accepted just before the listeners closed: no batch has it

    def data_received(self, data: bytes) -> None:
        if self._phase is not Phase.OPEN:
            return
        if self._upgrade is not None:
            self._keep_early(data)
            return
        if self._exchange is None and not self._head_size:
            self._wait(self.state.config.timeout_headers)
        self._head_size += len(data)  # set back whenever a head, or a part of a body, is complete
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError as error:
            refused = error.__cause__ or error.__context__
            if not isinstance(refused, Refused):
                raise
            refused.__traceback__ = refused.__context__ = None  # they hold on to these very frames
            self._refuse(refused)
            return
        except httptools.HttpParserError:
            self._refuse(Refused(400, "Bad Request"))
            return
        if self._head_size > self.state.config.limit_header_size:
            is_target = not self._headers and not self._in_body()
            self._refuse(Refused(*(TARGET_TOO_LONG if is_target else HEAD_TOO_LARGE)))

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._on_upgrade(data[upgrade.args[0] :])
            else:
                return

    def eof_received(self) -> bool:
        return False  # nobody waits for an answer that half closes

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.state.timers.cancel(self)
        self.state.closed(self)
        for waiting in (self._exchange, *self._pipeline, self._upgrade):
            if waiting is not None:
                waiting.on_lost()
        self._pipeline.clear()
        self.resume_writing()
        self._let_go()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # ---- httptools' callbacks ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._fields_size = 0

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > self.state.config.limit_header_size:
            raise Refused(*TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        config = self.state.config
        self._fields_size += len(name) + len(value) + 4
        if (
            len(self._headers) >= config.limit_header_count
            or self._fields_size > config.limit_header_size
        ):
            raise Refused(*HEAD_TOO_LARGE)
        self._headers.append(intern_header(name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._ignored is not None:
            self._headers, self._ignored = self._ignored, None
        if len(self._target) + self._fields_size > self.state.config.limit_header_size:
            raise Refused(*HEAD_TOO_LARGE)
        self._head_size = 0
        method, version = self._parser.get_method(), self._parser.get_http_version()
        check_head(method, version, self._headers)
        self.state.timers.cancel(self)
        if self.state.config.ws != "none" and names_websocket(self._headers):
            self._prepare_upgrade(method.decode("ascii"), version)
        elif self._parser.should_upgrade():
            self._ignored = self._headers
        else:
            self._start_exchange(method.decode("ascii"), version)
        # The application has that list; a trailer, which proxies have not checked, is no header.
        self._headers = []
        self._fields_size = 0

    def on_body(self, body: bytes) -> None:
        self._head_size = 0
        self._newest().on_body(body)  # type: ignore[union-attr]

    def on_message_complete(self) -> None:
        self._head_size = 0
        if self._upgrade is None and self._ignored is None:
            self._newest().on_body_end()  # type: ignore[union-attr]

    def _newest(self) -> Exchange | None:
        return self._pipeline[-1] if self._pipeline else self._exchange

    def _in_body(self) -> bool:
        newest = self._newest()
        return newest is not None and not newest.has_body_ended

    # ---- requests ---------------------------------------------------------------------------

    def _scope(self, kind: str, version: str) -> dict[str, Any]:
        """Count a request, and return its scope; Refused if there are too many, or it has none."""
        state = self.state
        too_many, bad = (None, None) if kind == "http" else (Failure.LIMIT, Failure.REQUEST)
        state.admit(self, self._peer.client, too_many)  # type: ignore[union-attr]
        try:
            scope = make_scope(
                kind,
                version,
                self._target,
                self._headers,
                state.config.root_path,
            )
        except ValueError as error:
            raise Refused(400, f"Bad Request: {error}", failure=bad) from None
        self._peer.describe(scope)  # type: ignore[union-attr]
        scope["state"] = state.lifespan_state.copy()
        state.count_request()
        return scope

    def _start_exchange(self, method: str, version: str) -> None:
        state = self.state
        scope = self._scope("http", version)
        scope["method"] = method
        scope["extensions"] = state.http_extensions
        keep_alive = self._parser.should_keep_alive()
        if is_faulty_chunked(version, self._headers):
            keep_alive = False  # a proxy in between may see the request's end elsewhere
        response = Response(method, version, keep_alive, state.default_headers.pairs())
        exchange = Exchange(self, scope, response, awaits_continue(version, self._headers))
        if self._exchange is None:
            self._run(exchange)
            return
        if len(self._pipeline) >= MAX_PIPELINED:
            raise Refused(*UNAVAILABLE)
        self._pipeline.append(exchange)
        self.pause_reading()

    def _run(self, exchange: Exchange) -> None:
        self._exchange = exchange
        task = self.state.start(exchange.run())
        task.add_done_callback(self.state.ended, context=self.state.context)

    def on_exchange_done(self, exchange: Exchange) -> None:
        """The application is done with a request: go on with the next, or wait for one."""
        if self._transport is None or self._phase is Phase.CLOSING:
            return
        if not exchange.response.is_complete:
            self.abort()  # what came next would be taken for the rest of this response
            return
        if (
            not exchange.response.keep_alive
            or not exchange.has_body_ended
            or (self.state.is_draining and not self._pipeline)
        ):
            self.close()
            return
        self._exchange = None
        if self._pipeline:
            self._run(self._pipeline.popleft())
            self.resume_reading()  # the rest of the last one's body, perhaps
        elif self._refused is not None:
            self._answer_refused(self._refused)
        elif self._upgrade is not None:
            self._hand_over()
        else:
            self._wait(self.state.config.timeout_keep_alive)
            self.resume_reading()

    # ---- the upgrade ------------------------------------------------------------------------

    def _prepare_upgrade(self, method: str, version: str) -> None:
        """Check a head that asks for a WebSocket; if it is valid, the parser stops behind it."""
        try:
            request = parse_upgrade(method, version, self._headers)
        except HandshakeError as error:
            headers = tuple(error.headers)
            raise Refused(error.status, error.reason, headers, Failure.REQUEST) from None
        scope = self._scope("websocket", version)
        scope["subprotocols"] = request.subprotocols
        scope["extensions"] = self.state.websocket_extensions
        assert self._transport is not None
        self._upgrade = Opening(self.state, self._transport, scope, request)

    def _on_upgrade(self, early: bytes) -> bytes:
        """The parser stopped behind a head with an Upgrade; return what another is to parse."""
        if self._upgrade is None:
            return self._ignore_upgrade() + early
        if early:
            self._keep_early(early)
        if self._exchange is None:
            self._hand_over()
        return b""

    def _ignore_upgrade(self) -> bytes:
        """Another protocol is not spoken here: the request is plain HTTP (RFC 9110 section 7.8).

        The parser would leave out its body, and take nothing that follows; so a new one reads the
        same head without the upgrade. The application is told all headers.
        """
        assert self._ignored is not None
        parser, self._parser = self._parser, httptools.HttpRequestParser(self)
        return without_upgrade(
            parser.get_method(), self._target, parser.get_http_version(), self._ignored
        )

    def _keep_early(self, data: bytes) -> None:
        assert self._upgrade is not None
        self._upgrade.early += data
        self.pause_reading()

    def _hand_over(self) -> None:
        """The connection is a WebSocket's from here on, unless the server is going away."""
        if self.state.is_draining:
            self._upgrade = None
            self._refuse(Refused(*UNAVAILABLE, failure=Failure.DRAIN))
            return
        transport = self._transport
        assert transport is not None
        assert self._upgrade is not None
        opening, self._upgrade = self._upgrade, None
        self.state.timers.cancel(self)
        session = Session(self.state, transport, opening)
        self.state.became(self, session)
        transport.set_protocol(session)
        if self._writable is not None:
            session.pause_writing()  # by the response before it; the transport tells no one twice
        session.start()
        self.resume_reading()
        self._transport = None
        self._let_go()

    def _let_go(self) -> None:
        """Drop what refers back to this protocol, which has no more to do: it leaves no garbage."""
        self._parser = None  # type: ignore[assignment]
        self._closing = self._exchange = None

    # ---- writing, waiting, ending -----------------------------------------------------------

    def write(self, data: bytes) -> None:
        if data and self._transport is not None and self._phase is not Phase.CLOSING:
            self._transport.write(data)

    async def writable(self) -> None:
        """Return once the transport's buffer has room, or the connection is lost."""
        while self._writable is not None:
            await self._writable.wait()

    def pause_reading(self) -> None:
        if self._transport is not None:
            pause_reading(self._transport)

    def resume_reading(self) -> None:
        """Read on, unless a request or an upgrade waits for its turn."""
        if self._transport is not None and not self._pipeline and self._upgrade is None:
            resume_reading(self._transport)

    def _wait(self, seconds: float) -> None:
        if seconds:
            self.state.timers.schedule(self, seconds)

    def on_timer(self) -> None:
        """No whole head came in time: say so if a part of it did, else just close."""
        if self._closing is not None:
            self._closing.on_timer()
        elif self._head_size:
            self._refuse(Refused(408, "Request Timeout"))
        else:
            self.close()

    def _refuse(self, refused: Refused) -> None:
        """Answer with an error once the requests before it are answered, and close."""
        self._phase = Phase.LAST
        self._refused = refused
        exchange = self._exchange
        if self._pipeline:
            if self._in_body():
                self._pipeline.pop()  # it is the one that is refused
        elif exchange is None:
            self._answer_refused(refused)
        elif self._in_body() and not exchange.response.is_complete:
            exchange.on_lost()
            if exchange.response.is_head_pending:
                self._answer_refused(refused)
            else:
                self.abort()

    def _answer_refused(self, refused: Refused) -> None:
        self.write(refused.answer(self.state.default_headers.pairs(), self.state.counters))
        self._end(may_be_sending=True)

    def close(self) -> None:
        """Close once everything is written; a client that does not read it is cut off."""
        if self._transport is not None and self._phase is not Phase.CLOSING:
            is_reading = self._transport.is_reading()
            self._end(may_be_sending=not is_reading or self._in_body() or self._head_size > 0)

    def _end(self, may_be_sending: bool) -> None:
        assert self._transport is not None
        self._phase = Phase.CLOSING
        self._closing = Closing(self, self.state.timers, self._transport, CLOSE_TIMEOUT)
        if may_be_sending:
            self._closing.linger()
        else:
            self._closing.close()

    def shutdown(self) -> None:
        """The server is going away: finish the request that is being answered, if there is one."""
        if self._exchange is None:
            self.close()
        else:
            self._exchange.response.keep_alive = False

    def abort(self) -> None:
        """Cut the connection now."""
        if self._transport is not None:
            self._transport.abort()
