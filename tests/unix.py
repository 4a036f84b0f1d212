"""A client of a unix socket, for as long as one exchange takes."""

from __future__ import annotations

import asyncio


async def unix_exchange(path: str, sent: bytes) -> bytes:
    """Send the bytes; return the head of what is answered."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    finally:
        writer.close()
