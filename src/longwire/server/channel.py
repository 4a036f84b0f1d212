"""What a supervisor and its worker say to each other: a word a line, over a socket pair.

worker      ready          it accepts connections
            alive          its event loop turns
            recycle        it has served --limit-max-requests
            metrics SIZE   an answer, or its last figures: as many bytes of them follow the line;
                           without a size, that there are none to be had
supervisor  pause          accept no more: another worker has taken over
            metrics        say your figures
either      (the end)      the other process is gone
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from enum import Enum
from typing import NamedTuple


class Word(Enum):
    READY = "ready"
    ALIVE = "alive"
    RECYCLE = "recycle"
    PAUSE = "pause"
    METRICS = "metrics"


MAX_LINE = 64
"""Bytes of a line at most; the other side is a process of our own, and still no reason to trust."""

MAX_BODY = 4 * 1024 * 1024
"""Bytes behind a line at most: tens of thousands of series."""


class Said(NamedTuple):
    """A word, and what came with it."""

    word: Word
    body: bytes


class Channel:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Channel:
        """Take over the socket."""
        return cls(*await asyncio.open_connection(sock=sock, limit=MAX_LINE))

    def say(self, word: Word, body: bytes = b"") -> None:
        """Send a word; nothing happens if the other process is gone. ValueError over MAX_BODY."""
        if len(body) > MAX_BODY:
            raise ValueError(f"{len(body)} bytes are more than the {MAX_BODY} that one word brings")
        if not self._writer.is_closing():
            size = f" {len(body)}" if body else ""
            self._writer.write(f"{word.value}{size}\n".encode() + body)

    async def hear(self) -> Said | None:
        """Return the next word, or None once the other process is gone.

        Not to be cancelled between a line and its body: whoever hears, hears to the end.
        """
        try:
            line = await self._reader.readuntil(b"\n")
            word, _, size = line.decode().strip().partition(" ")
            length = int(size or 0)
            if not 0 <= length <= MAX_BODY:
                return None
            return Said(Word(word), await self._reader.readexactly(length))
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            return None

    async def flush(self) -> None:
        """Return once the other process has everything that was said, or is gone."""
        with suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()

    def close(self) -> None:
        """Let go of the other process. Idempotent."""
        self._writer.close()
