"""How a WebSocket ended: its code, its cause, its author, and what had gone over it."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import NamedTuple

from longwire.errors import ConnectionClosed


class Initiator(Enum):
    """Who closed the connection first."""

    CLIENT = "the client", "client"
    APPLICATION = "the application", "application"
    SERVER = "the server", "server"
    NOBODY = "nobody", "nobody"  # TCP was lost without a close frame

    def __init__(self, phrase: str, word: str) -> None:
        self.phrase = phrase  # for a person
        self.word = word  # for a program


class Ending(NamedTuple):
    """The close code that went, or would have gone, over the wire first; its cause; its author."""

    code: int
    cause: str
    by: Initiator


class Traffic(NamedTuple):
    """Whole messages, and bytes on the wire behind the handshake, either way."""

    messages_received: int
    size_received: int
    messages_sent: int
    size_sent: int

    def plus(self, other: Traffic) -> Traffic:
        return Traffic(
            self.messages_received + other.messages_received,
            self.size_received + other.size_received,
            self.messages_sent + other.messages_sent,
            self.size_sent + other.size_sent,
        )


def is_caused_by_closing(error: BaseException) -> bool:
    """Return whether the application ended for no other reason than that its peer is gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_caused_by_closing, error.exceptions))
    if isinstance(error, (ConnectionClosed, asyncio.CancelledError)):
        return True
    # Frameworks turn it into an exception of their own, which carries the close code.
    origin = error.__cause__ or error.__context__
    return isinstance(origin, ConnectionClosed) and isinstance(getattr(error, "code", None), int)
