"""What a supervisor and its worker say to each other: one word a line, over a socket pair.

worker      ready        it accepts connections
            alive        its event loop turns
            recycle      it has served --limit-max-requests
supervisor  pause        accept no more: another worker has taken over
either      (the end)    the other process is gone
"""

from __future__ import annotations

import asyncio
import socket
from enum import Enum


class Word(Enum):
    READY = "ready"
    ALIVE = "alive"
    RECYCLE = "recycle"
    PAUSE = "pause"


MAX_LINE = 64
"""Bytes of a line at most; the other side is a process of our own, and still no reason to trust."""


class Channel:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Channel:
        """Take over the socket."""
        return cls(*await asyncio.open_connection(sock=sock, limit=MAX_LINE))

    def say(self, word: Word) -> None:
        """Send a word; nothing happens if the other process is gone."""
        if not self._writer.is_closing():
            self._writer.write(word.value.encode() + b"\n")

    async def hear(self) -> Word | None:
        """Return the next word, or None once the other process is gone."""
        try:
            line = await self._reader.readuntil(b"\n")
            return Word(line.decode().strip())
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            return None

    def close(self) -> None:
        """Let go of the other process. Idempotent."""
        self._writer.close()
