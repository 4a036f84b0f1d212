"""One connection to a document: what all editors share, and how a connection is refused."""

from __future__ import annotations

import logging
import time
from typing import Any

from longwire.documents.document import Document
from longwire.documents.options import Role
from longwire.documents.replica import Behind
from longwire.errors import (
    DocumentError,
    DocumentsClosed,
    InvalidName,
    InvalidOperation,
    LimitExceeded,
    MalformedMessage,
    ReadOnly,
    StoreError,
    TooManyDocuments,
)
from longwire.hub import Member
from longwire.toolkit import UnexpectedMessage

FLUSH_SECONDS = 1.0
"""How long a close waits for what was said before it."""

CODES: dict[type[Exception], int] = {
    UnexpectedMessage: 1003,  # text where binary belongs, or the other way round
    MalformedMessage: 1007,
    InvalidOperation: 1007,
    Behind: 1007,
    ReadOnly: 1008,
    InvalidName: 1008,
    LimitExceeded: 1009,
    TooManyDocuments: 1013,
    StoreError: 1013,  # try again later: the editor still has what was not stored
    DocumentsClosed: 1012,  # this server goes away
}
"""The close codes (RFC 6455 section 7.4.1, and IANA's registry)."""

INTERNAL_ERROR = 1011

logger = logging.getLogger("longwire.documents")


class Editor:
    """One connection. Subclasses say how it greets, and what it makes of a message."""

    def __init__(self, document: Document, member: Member, role: Role, user: str | None) -> None:
        self.document = document
        self.member = member
        self.role = role
        self.user = user

    async def run(self, websocket: Any) -> None:
        """Serve the connection to its end; a DocumentError closes it with a code and a reason."""
        document = self.document
        try:
            await self.greet()
            while True:
                message = await websocket.receive()
                if message["type"] != "websocket.receive":
                    return
                text, data = message.get("text"), message.get("bytes")
                await self.take(data if text is None else text)
        except (DocumentError, UnexpectedMessage) as error:
            await self.refuse(error)
        finally:
            document.dismiss(self.member)
            if document.failure is None:
                left = document.awareness.leave(self.member.id, time.monotonic())
                document.tell_awareness(left)

    async def greet(self) -> None:
        """Say what the document has, and be told what happens to it from then on."""
        raise NotImplementedError

    async def take(self, data: str | bytes) -> None:
        """Take a message. Raises DocumentError, UnexpectedMessage."""
        raise NotImplementedError

    def look_after(self, now: float) -> None:
        """Do what is due at that time of the monotonic clock; called every few seconds."""

    async def refuse(self, error: Exception) -> None:
        """Close the connection for this reason, behind what it was told before."""
        code = code_of(error)
        logger.info("document %r: closed with %d: %s", self.document.name, code, error)
        self.document.audience.dismiss(self.member)
        await self.member.outbox.flush(FLUSH_SECONDS)
        await self.member.close(code, reason_of(error))


def code_of(error: Exception) -> int:
    """Return the close code for an error."""
    return next((code for kind, code in CODES.items() if isinstance(error, kind)), INTERNAL_ERROR)


def reason_of(error: Exception) -> str:
    """Return what the close frame says: 123 bytes at most, whole characters."""
    return str(error).encode()[:123].decode(errors="ignore")
