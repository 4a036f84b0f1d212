"""Keepalive: ping an open connection, and give it up when nothing comes back.

    every `interval` seconds a ping; the peer is alive when its pong, or any byte, arrives
    within `timeout` seconds; while we do not read, we do not judge

A pong waits behind the data its sender has queued before it, so a peer that uploads over a slow
line answers late and is healthy: bytes count as well as the pong. RFC 6455 section 5.5.2.
"""

from __future__ import annotations

from enum import Enum

NOT_WAITING = -1


class Verdict(Enum):
    """What to do when the timer of an open connection fires."""

    PING = "ping"
    WAIT = "wait"
    TIMEOUT = "timeout"


class Keepalive:
    """The keepalive of one connection; the clock and the sending are the session's."""

    __slots__ = ("_count", "_pinged_at", "_progress_at_ping")

    def __init__(self) -> None:
        self._count = 0
        self._pinged_at = 0.0
        self._progress_at_ping = NOT_WAITING

    @property
    def is_waiting(self) -> bool:
        """Whether a ping is out and its pong is not here yet."""
        return self._progress_at_ping != NOT_WAITING

    def on_timer(self, progress: int, is_judged: bool) -> Verdict:
        """Judge the peer, if it can be; `progress` grows with every byte that proves it alive."""
        if not self.is_waiting:
            return Verdict.PING
        if progress == self._progress_at_ping and is_judged:
            return Verdict.TIMEOUT
        self._progress_at_ping = progress
        return Verdict.WAIT

    def ping(self, progress: int, now: float) -> bytes:
        """Return the payload of the next ping, unlike the ones before."""
        self._count += 1
        self._pinged_at = now
        self._progress_at_ping = progress
        return self._count.to_bytes(4, "big")

    def on_pong(self, payload: bytes, now: float) -> float | None:
        """Return the seconds since the ping that it answers; None if it answers none."""
        if not self.is_waiting or payload != self._count.to_bytes(4, "big"):
            return None
        self._progress_at_ping = NOT_WAITING
        return now - self._pinged_at
