"""How much a client may ask for: messages in a time, bytes in a message, connections in a time."""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection

from longwire.asgi import Message, Receive
from longwire.lifecycle import message_data
from longwire.toolkit.guards.refusal import POLICY_VIOLATION, refuse

TOO_BIG = 1009  # RFC 6455 section 7.4.1

MAX_CLIENTS = 10_000
"""Clients whose rate is remembered; the one seen longest ago is forgotten for the next."""

Clock = Callable[[], float]


class Bucket:
    """A token bucket: `count` at once, and as many again over `per` seconds."""

    __slots__ = ("_count", "_left", "_per", "_seen")

    def __init__(self, count: int, per: float, now: float) -> None:
        self._count = count
        self._per = per
        self._left = float(count)
        self._seen = now

    def take(self, now: float) -> bool:
        """Take one; return whether there was one."""
        self._left = min(self._count, self._left + (now - self._seen) * self._count / self._per)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def wait(self) -> float:
        """Return the seconds until there is one again."""
        return max(0.0, (1 - self._left) * self._per / self._count)


class Limit:
    """A guard that watches what is received; the application hears a disconnect when it closes."""

    async def __call__(self, connection: HTTPConnection) -> None:
        """Watch what this connection receives from now on."""
        websocket: Any = connection
        # starlette's WebSocket and ours keep the callable under the same name. A reference back
        # from it would be a cycle, and each connection a piece of work for the collector.
        websocket._receive = self._limited(weakref.ref(websocket), websocket._receive)

    def _limited(self, reference: weakref.ref[Any], receive: Receive) -> Receive:
        broken = self.new_check()
        ending: Message | None = None

        async def limited() -> Message:
            nonlocal ending
            if ending is not None:
                return ending
            message = await receive()
            if message["type"] == "websocket.receive":
                fault = broken(message)
                if fault is not None:
                    code, reason = fault
                    ending = {
                        "type": "websocket.disconnect",
                        "code": code,
                        "reason": reason,
                        "by": "application",
                    }
                    connection = reference()
                    assert connection is not None, "it is who receives"
                    await connection.close(code, reason)
                    return ending
            return message

        return limited

    def new_check(self) -> Callable[[Message], tuple[int, str] | None]:
        """Return this connection's own check: a message -> close code and reason, or None."""
        raise NotImplementedError


class MessageRate(Limit):
    """At most `count` messages at once, refilled over `per` seconds; more closes with 1008."""

    def __init__(
        self,
        count: int,
        *,
        per: float = 60.0,
        close_code: int = POLICY_VIOLATION,
        clock: Clock = time.monotonic,
    ) -> None:
        _check_rate(count, per)
        self._count = count
        self._per = per
        self._close_code = close_code
        self._clock = clock

    def new_check(self) -> Callable[[Message], tuple[int, str] | None]:
        bucket = Bucket(self._count, self._per, self._clock())
        fault = (self._close_code, f"more than {self._count} messages in {self._per:g} s")
        return lambda message: None if bucket.take(self._clock()) else fault


class MaxSize(Limit):
    """Messages of at most `size` bytes, text counted in UTF-8; a larger one closes with 1009.

    The server's own --ws-max-size bounds memory; this is what a route has use for.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a message's size limit is at least 1 byte; got {size}")
        self._size = size

    def new_check(self) -> Callable[[Message], tuple[int, str] | None]:
        fault = (TOO_BIG, f"a message has at most {self._size} bytes here")
        return lambda message: fault if self._is_over(message_data(message)) else None

    def _is_over(self, data: str | bytes) -> bool:
        if len(data) * 4 <= self._size:  # no text has more than four bytes a character
            return False
        return len(data.encode() if isinstance(data, str) else data) > self._size


class ConnectionRate:
    """At most `count` handshakes at once from one address, refilled over `per` seconds; then 429.

    `key` tells clients apart, by default by their address: behind a proxy that is the proxy's,
    unless the server is told to trust its headers.
    """

    def __init__(
        self,
        count: int,
        *,
        per: float = 60.0,
        key: Callable[[HTTPConnection], str] | None = None,
        close_code: int | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        _check_rate(count, per)
        self._count = count
        self._per = per
        self._key = key or _address
        self._close_code = close_code
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    async def __call__(self, connection: HTTPConnection) -> None:
        """Return if the client may connect; refuse with 429 and Retry-After else."""
        now = self._clock()
        key = self._key(connection)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._count, self._per, now)
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        if not bucket.take(now):
            await refuse(
                connection,
                429,
                "too many connections",
                close_code=self._close_code,
                headers={"Retry-After": str(int(bucket.wait()) + 1)},
            )


def _address(connection: HTTPConnection) -> str:
    client = connection.client
    return client.host if client is not None else ""


def _check_rate(count: int, per: float) -> None:
    if count < 1 or per <= 0:
        raise ValueError(f"a rate is at least 1 in more than 0 seconds; got {count} in {per}")
