"""A connection whose first bytes say for whom it is; it becomes one of HTTP behind them."""

from __future__ import annotations

import asyncio

from longwire.server.http import HttpProtocol
from longwire.server.peer import Peer
from longwire.server.proxy_protocol import ProxyProtocolError, parse_proxy_header
from longwire.server.scope import client_name
from longwire.server.state import ServerState
from longwire.server.stream import StreamProtocol
from longwire.server.transport import Transport


class ProxiedBeginning(asyncio.BaseProtocol, StreamProtocol):
    """Reads the PROXY protocol's header from a trusted proxy; anything else ends the connection.

    The header has `timeout_headers` seconds, and what is behind it the same time again.
    """

    __slots__ = ("_data", "_peer", "_state", "_transport")

    def __init__(self, state: ServerState) -> None:
        StreamProtocol.__init__(self)
        self._state = state
        self._data = b""
        self._transport: Transport | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        state = self._state
        self._transport = transport
        self._peer = Peer(transport)
        state.opened(self, None)  # whose it is the header says
        if not state.trusted_proxies.trusts_peer(self._peer.client):
            self._refuse("not from a trusted proxy")
        elif state.is_draining:
            self.shutdown()
        elif state.config.timeout_headers:
            state.timers.schedule(self, state.config.timeout_headers)

    def _read(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._data += data
        try:
            header = parse_proxy_header(self._data)
        except ProxyProtocolError as error:
            self._refuse(str(error))
            return
        if header is None:
            return
        if header.forwarded is not None:
            self._peer.client = header.forwarded.client
            self._peer.server = header.forwarded.server
        self._state.timers.cancel(self)
        self._go_on(self._data[header.size :])

    def _go_on(self, rest: bytes) -> None:
        """The header is read; `rest` is what came with it."""
        raise NotImplementedError

    def eof_received(self) -> None:
        if self._data:  # who says nothing at all looks whether we are there
            self._refuse("PROXY protocol header cut short")

    def _hand_over(self, transport: Transport, rest: bytes) -> None:
        """The connection is HTTP's from here on."""
        state = self._state
        protocol = HttpProtocol(state, self._peer)
        transport.set_protocol(protocol)
        state.became(self, protocol)
        protocol.connection_made(transport)
        self._transport = None
        if rest:
            protocol.data_received(rest)

    def _refuse(self, reason: str) -> None:
        """Close without a word to the peer, which is no proxy of ours, and one to the log."""
        name = client_name(self._peer.client)
        self._state.logger.warning("%s - connection refused: %s", name, reason)
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._state.timers.cancel(self)
        self._state.closed(self)

    def on_timer(self) -> None:
        self._refuse("no whole PROXY protocol header in time")

    def shutdown(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Cut the connection now."""
        if self._transport is not None:
            self._transport.abort()


class ProxiedConnection(ProxiedBeginning, asyncio.Protocol):
    """Behind the header comes HTTP."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self._read(data)

    def _go_on(self, rest: bytes) -> None:
        assert self._transport is not None
        self._hand_over(self._transport, rest)
