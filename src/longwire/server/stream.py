"""What a transport tells: asyncio.Protocol's methods, of something that waits for time as well."""

from __future__ import annotations

from longwire.server.timers import Timed
from longwire.server.transport import Transport


class StreamProtocol(Timed):
    """One end of a connection: what to do with its bytes, and with its deadline."""

    __slots__ = ()

    def connection_made(self, transport: Transport) -> None:
        """The connection is open."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """The peer has sent this; none of it is empty."""
        raise NotImplementedError

    def eof_received(self) -> bool | None:
        """The peer sends nothing more; the transport closes, unless it is the loop's and this is
        true.
        """
        raise NotImplementedError

    def pause_writing(self) -> None:
        """More waits than was agreed upon."""

    def resume_writing(self) -> None:
        """There is room again."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over; nothing is told behind this."""
        raise NotImplementedError
