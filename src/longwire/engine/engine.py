"""What an engine is to the server: one connection's protocol after its handshake, without I/O."""

from __future__ import annotations

from longwire.engine.events import Event
from longwire.engine.prepared import Prepared


class Engine:
    """Ours, or a package's behind an adapter. It never raises for what a peer sends."""

    __slots__ = ()

    @property
    def payload_missing(self) -> int:
        """Bytes of the present data frame's payload that have yet to come; 0 if not known."""
        return 0

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes cut anywhere; return what they complete. Closed or Failed comes last."""
        raise NotImplementedError

    def receive_eof(self) -> object:
        """Note that the peer sends nothing more."""
        raise NotImplementedError

    def send(self, data: str | bytes, compress: bool = True) -> None:
        """Queue a message."""
        raise NotImplementedError

    def send_prepared(self, message: Prepared) -> None:
        """Queue a message that goes to many connections."""
        raise NotImplementedError

    def ping(self, payload: bytes = b"") -> None:
        """Queue a ping of at most 125 bytes."""
        raise NotImplementedError

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Queue a close frame; LocalProtocolError for a code that may not be sent."""
        raise NotImplementedError

    def data_to_send(self) -> bytes | bytearray:
        """Return what is queued, answers to pings and to the peer's close among it."""
        raise NotImplementedError
