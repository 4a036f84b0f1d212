"""nats-py's client, as one connection that does not come back: the link makes the next one.

nats-py 2.16 alone would not do:

- it connects again after 10 ms, for ever, without jitter, and after some errors never again;
- a callback costs a task for each subscription. A future in its place is given every message at
  once, in the order of arrival; this one is shared by all, and is never done;
- a header that is no UTF-8 ends its reading without a word, and so does an answer to a flush that
  was cancelled: headers are guarded here, and flush() and rtt() are not used;
- `tls://` to a server that offers no TLS goes on in the clear.

tests/hub/test_nats_client.py fails if a version does without what is used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import nats.errors
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from longwire.hub.brokers.nats.credentials import Credentials
from longwire.hub.brokers.nats.options import Server

NOBODY = Credentials()

CLOSE_SECONDS = 1.0
"""How long the end of a connection may take that has something to send yet."""

NEVER = 10 * 365 * 24 * 3600
"""Seconds between nats-py's own pings: the link has pings of its own."""


class Sink(asyncio.Future[Msg]):
    """A future that is never done, and passes on every message that it is given."""

    def __init__(self, on_message: Callable[[Msg], None]) -> None:
        super().__init__()
        self._on_message = on_message

    def set_result(self, message: Msg) -> None:
        self._on_message(message)


class Client(NatsClient):
    """One connection to one server; `lost` is done, with the reason, once it has ended."""

    def __init__(self, on_message: Callable[[Msg], None], needs_tls: bool) -> None:
        super().__init__()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._sink = Sink(on_message)
        self._needs_tls = needs_tls
        self._unused: asyncio.Queue[Msg] = asyncio.Queue()
        self._last_error = "the connection ended"

    async def open(
        self,
        server: Server,
        name: str,
        timeout: float,
        credentials: Credentials = NOBODY,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect; any error of nats-py or the system, and none of them names a password."""
        if server.user is not None and server.password is not None:
            credentials = Credentials(user=server.user, password=server.password)
        elif server.user is not None:
            credentials = Credentials(token=server.user)
        try:
            await self.connect(
                [server.url],
                name=name,
                error_cb=self._note,
                closed_cb=self._end,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # 0 would mean for ever
                reconnect_time_wait=0,
                connect_timeout=timeout,  # type: ignore[arg-type]  # it goes to wait_for
                ping_interval=NEVER,
                tls=tls,
                **credentials.arguments(),
            )
        except nats.errors.NoServersError:
            raise OSError(self._last_error) from None

    async def _note(self, error: Exception) -> None:
        self._last_error = f"{type(error).__name__}: {error}".removesuffix(": ")
        if isinstance(error, nats.errors.SlowConsumerError):
            self.give_up(self._last_error)

    async def _end(self) -> None:
        self.give_up(str(self.last_error or self._last_error))

    def give_up(self, reason: str) -> None:
        """Take the connection for lost."""
        if not self.lost.done():
            self.lost.set_result(reason)

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be sent any more: nats-py knows it several turns of the event loop
        before it says so, which is what `lost` waits for.
        """
        return self.lost.done() or not self.is_connected

    async def listen(self, subject: str) -> Subscription:
        """Subscribe; what comes goes to `on_message`."""
        subscription = await self.subscribe(subject, future=self._sink)
        # 3 KB of an empty queue for each, which nothing is ever put in.
        subscription._pending_queue = self._unused
        return subscription

    async def dispose(self, at_once: bool) -> None:
        """End it, whatever state it is in; what is still to be sent goes out unless at once."""
        if at_once:
            self._abort()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close()
        self._abort()

    def _abort(self) -> None:
        # A transport that is only closed keeps what the peer does not take, for minutes.
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _process_headers(self, headers: Any) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except Exception:  # anything: a stranger wrote them
            return read_headers(bytes(headers))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._needs_tls and not info.get("tls_required"):
            raise nats.errors.Error("the server offers no TLS")
        await super()._process_info(info, initial_connection)


def read_headers(block: bytes) -> dict[str, str]:
    """Return the headers, whatever stands in the line of the status before them."""
    lines = (line.partition(b":") for line in block.split(b"\r\n")[1:])
    return {
        name.decode("ascii", "replace").strip(): value.decode("utf-8", "replace").strip()
        for name, colon, value in lines
        if colon
    }
