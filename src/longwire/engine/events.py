"""What Connection.receive_data() reports beside data messages, which are plain str and bytes."""

from __future__ import annotations

from typing import NamedTuple


class Ping(NamedTuple):
    """The peer sent a ping; the engine answers it by itself (RFC 6455 section 5.5.2)."""

    payload: bytes


class Pong(NamedTuple):
    """The peer sent a pong, asked for or not (RFC 6455 section 5.5.3)."""

    payload: bytes


class Closed(NamedTuple):
    """The peer's close frame arrived; data_to_send() echoes it (RFC 6455 section 5.5.1).

    `code` is 1005 when the frame carried none.
    """

    code: int
    reason: str


class Failed(NamedTuple):
    """The peer broke the protocol; data_to_send() tells it so (RFC 6455 section 7.1.7).

    `code` is 1002, 1007 or 1009; `reason` says exactly what was wrong.
    """

    code: int
    reason: str


Event = str | bytes | Ping | Pong | Closed | Failed
