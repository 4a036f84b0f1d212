"""A connection that begins with a PROXY header in clear; TLS comes behind it, and HTTP within."""

from __future__ import annotations

import asyncio
import ssl

from longwire.server.proxied import ProxiedBeginning
from longwire.server.proxy_protocol import MAX_HEADER_BYTES, bytes_to_read
from longwire.server.state import ServerState
from longwire.server.transport import Transport


class ProxiedTLSConnection(ProxiedBeginning, asyncio.BufferedProtocol):
    """Reads the header and not a byte more, then hands the transport to the loop's start_tls().

    What lies behind the header stays in the kernel until TLS reads it: that is why this is a
    BufferedProtocol, which says how much may be read at once. The handshake has `timeout_headers`
    seconds, as the header before it and the request behind it.
    """

    __slots__ = ("_buffer", "_handshake", "_tls")

    def __init__(self, state: ServerState, tls: ssl.SSLContext) -> None:
        super().__init__(state)
        self._tls = tls
        self._buffer = bytearray()
        self._handshake: asyncio.Task[None] | None = None

    def get_buffer(self, sizehint: int) -> bytearray:
        self._buffer = bytearray(min(bytes_to_read(self._data), MAX_HEADER_BYTES))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._read(bytes(self._buffer[:nbytes]))

    def _go_on(self, rest: bytes) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._handshake = self._state.loop.create_task(self._encrypt(self._transport))

    async def _encrypt(self, transport: Transport) -> None:
        """Do the TLS handshake, and become an HTTP connection within."""
        state = self._state
        early = _Early()
        try:
            encrypted = await state.loop.start_tls(
                transport,  # type: ignore[arg-type]  # the loop's, whose own this is
                early,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=state.config.timeout_headers or None,
            )
        except OSError as error:  # of TLS, of its time, of the connection; a log is not for these
            state.logger.debug("a TLS handshake behind a PROXY header failed: %s", error)
            encrypted = None
        if encrypted is None or encrypted.is_closing():
            transport.abort()
            self.connection_lost(None)
            return
        self._peer.is_tls = True
        self._hand_over(encrypted, bytes(early.data))


class _Early(asyncio.Protocol):
    """Keeps what comes in the same read as the end of the handshake, for one turn of the loop."""

    def __init__(self) -> None:
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        self.data += data
