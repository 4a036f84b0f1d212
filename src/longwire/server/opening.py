"""The answer to a request for a WebSocket: accepted, refused, or denied in the application's words.

It is needed until the handshake is answered, and dropped then: an open connection keeps none of it.
"""

from __future__ import annotations

from longwire.asgi import Message, Scope
from longwire.engine import Engine, Limits, UpgradeRequest, negotiate, upgrade_response
from longwire.errors import LifecycleError
from longwire.server import reports
from longwire.server.compression import asked_for
from longwire.server.counters import Failure
from longwire.server.response import Response, plain_response
from longwire.server.state import ServerState
from longwire.server.transport import Transport


class Opening:
    """One handshake, from its valid request to the last byte of its answer."""

    __slots__ = ("_request", "_response", "_server", "_transport", "early", "is_answered", "scope")

    def __init__(
        self,
        server: ServerState,
        transport: Transport,
        scope: Scope,
        request: UpgradeRequest,
    ) -> None:
        self._server = server
        self._transport = transport
        self.scope = scope
        self.early = b""  # what came behind the request before a session was there to take it
        self._request = request
        self._response: Response | None = None  # the application's denial
        self.is_answered = False  # the first byte of an answer is written

    def accept(self, message: Message) -> tuple[bytes, Engine]:
        """Return the answer, 101, to be written, and the engine of the connection that begins.

        Raises LocalProtocolError for a subprotocol or a header that cannot stand in the answer,
        or a compression setting out of range, LifecycleError for a size limit that is none.
        """
        server, request = self._server, self._request
        limits = self._limits(message.get("max_size"))
        deflate = asked_for(server.deflate, message.get("compress", True))
        agreed = None if deflate is None else negotiate(request.extensions, deflate)
        response = upgrade_response(
            request,
            subprotocol=message.get("subprotocol"),
            extension=agreed[0] if agreed else None,
            headers=message.get("headers") or (),
            lines=server.default_headers.lines(),
        )
        engine = server.new_engine(limits, agreed[1] if agreed else None)
        self.is_answered = True
        server.counters.opened += 1
        if server.config.access_log:
            reports.opened(server.access, self.scope)
        return response, engine

    def _limits(self, max_size: object) -> Limits:
        """Return the server's limits, or stricter ones that the application asks for."""
        limits = self._server.limits
        if max_size is None:
            return limits
        if type(max_size) is not int or max_size < 1:
            raise LifecycleError(f"'max_size' is a number of bytes from 1 on; got {max_size!r}")
        return Limits(min(max_size, limits.max_message_size or max_size))

    def refuse(self, status: int, text: str, failure: Failure) -> None:
        """Answer with a plain HTTP error."""
        default_headers = self._server.default_headers.pairs()
        self._transport.write(plain_response(status, text, default_headers=default_headers))
        self._on_refused(status, failure)

    def start_denial(self, message: Message) -> None:
        """Begin to answer with the application's response; LifecycleError if it is none."""
        response = Response("GET", "1.1", False, self._server.default_headers.pairs())
        response.start(message.get("status"), message.get("headers") or ())
        self._response = response

    def continue_denial(self, message: Message) -> bool:
        """Send a part of that response's body; return whether it is complete."""
        assert self._response is not None
        more_body = bool(message.get("more_body", False))
        self._transport.write(self._response.body(message.get("body", b""), more_body))
        if not self.is_answered:
            self._on_refused(self._response.status, Failure.APPLICATION)
        return not more_body

    def on_lost(self) -> None:
        """The client has left; that is a failure of its own if it had no answer yet."""
        if not self.is_answered:
            self.is_answered = True
            self._server.counters.count_failure(Failure.CLIENT, 0)

    def _on_refused(self, status: int, failure: Failure) -> None:
        self.is_answered = True
        self._server.counters.count_failure(failure, status)
        if self._server.config.access_log:
            reports.refused(self._server.access, self.scope, status)
