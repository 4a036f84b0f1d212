"""TLS over a raw connection, in which a test says what goes into which segment."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import trustme

from tests.wire import Wire


def certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    """Make a certificate for 127.0.0.1; return its file, and a client's context that trusts it."""
    authority = trustme.CA()
    path = folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return str(path), context


class Encrypted(Wire):
    """A connection within TLS; its last bytes of the handshake go with what is sent first."""

    def __init__(self, outer: Wire, context: ssl.SSLContext) -> None:
        super().__init__(asyncio.StreamReader(), outer.writer)
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    async def handshake(self, before: bytes, bytewise: bool) -> None:
        """Send `before` in clear and then, in the same segment, the first of TLS; and so on."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._outer.send(before + self._outgoing.read(), bytewise)
                before = b""
                self._incoming.write(await asyncio.wait_for(self._outer.reader.read(65536), 5))
            else:
                return

    async def send(self, data: bytes, bytewise: bool = False) -> None:
        self._tls.write(data)
        await self._outer.send(self._outgoing.read(), bytewise)

    async def decrypt(self) -> None:
        """Feed the reader up to the end of TLS, or of the connection."""
        while data := await self._outer.reader.read(65536):
            self._incoming.write(data)
            with contextlib.suppress(ssl.SSLWantReadError):
                while plain := self._tls.read(65536):
                    self.reader.feed_data(plain)
                break  # nothing, where there is none to wait for, is the other side's last word
        self.reader.feed_eof()


@contextlib.asynccontextmanager
async def encrypted(
    outer: Wire, context: ssl.SSLContext, before: bytes = b"", bytewise: bool = False
) -> AsyncIterator[Encrypted]:
    """Do the TLS handshake on the connection, behind some bytes in clear."""
    client = Encrypted(outer, context)
    await client.handshake(before, bytewise)
    decrypting = asyncio.create_task(client.decrypt())
    try:
        yield client
    finally:
        decrypting.cancel()
        await asyncio.wait({decrypting})
