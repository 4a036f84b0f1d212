"""What the server counts, in plain integers, whether or not anybody asks for it.

Nothing here runs once a message: a connection keeps the figures of its traffic itself, and they
are added when it ends. Every key is one of a bounded set: clients choose paths and codes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from enum import Enum
from http import HTTPStatus

from longwire.server.ending import Ending, Initiator, Traffic

REGISTERED_CODES = frozenset((*range(1000, 1015), 3000, 3003, 3008))
"""IANA's registry of close codes; of others an application may use two thousand."""

REGISTERED_STATUSES = frozenset(HTTPStatus)

ROUND_TRIP_BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
)  # fmt: skip
"""Upper bounds of the histogram of round trips, in seconds; one bucket more has the rest."""


class Failure(Enum):
    """Why an opening handshake failed."""

    REQUEST = "request"  # it was no valid handshake
    LIMIT = "limit"  # one connection more than --limit-concurrency
    APPLICATION = "application"  # it refused, or denied in its own words
    ERROR = "error"  # the application raised, or returned without an answer
    TIMEOUT = "timeout"  # it did not answer within --ws-handshake-timeout
    DRAIN = "drain"  # the server was going away
    CLIENT = "client"  # it left before there was an answer


class Counters:
    """What has happened since the process started."""

    __slots__ = (
        "closed",
        "failures",
        "opened",
        "responses",
        "round_trip_buckets",
        "round_trip_seconds",
        "traffic",
        "websockets_closed",
    )

    def __init__(self) -> None:
        self.opened = 0  # WebSockets
        self.websockets_closed = 0
        self.closed: Counter[tuple[str, Initiator]] = Counter()
        self.failures: Counter[tuple[Failure, str]] = Counter()
        self.responses = [0] * 6  # to HTTP requests, by the first digit of their status
        self.traffic = Traffic(0, 0, 0, 0)  # of the WebSockets that have ended
        self.round_trip_buckets = [0] * (len(ROUND_TRIP_BOUNDS) + 1)
        self.round_trip_seconds = 0.0

    @property
    def websockets_open(self) -> int:
        """WebSockets that were accepted and whose TCP connection has not ended."""
        return self.opened - self.websockets_closed

    def count_closed(self, ending: Ending) -> None:
        """Count the end of a WebSocket that was open."""
        self.websockets_closed += 1
        self.closed[code_label(ending.code), ending.by] += 1

    def count_traffic(self, traffic: Traffic) -> None:
        """Add what went over a connection that has ended."""
        self.traffic = self.traffic.plus(traffic)

    def count_failure(self, failure: Failure, status: int) -> None:
        """Count a handshake that did not succeed; status 0 if it had no answer."""
        self.failures[failure, status_label(status)] += 1

    def count_response(self, status: int) -> None:
        """Count an HTTP request that is answered."""
        self.responses[status // 100] += 1

    def count_round_trip(self, seconds: float) -> None:
        """Count a ping that was answered."""
        self.round_trip_buckets[bisect_left(ROUND_TRIP_BOUNDS, seconds)] += 1
        self.round_trip_seconds += seconds


def code_label(code: int) -> str:
    """Return a close code as it is counted: 4001 as 4xxx."""
    return str(code) if code in REGISTERED_CODES else f"{code // 1000}xxx"


def status_label(status: int) -> str:
    """Return an HTTP status as it is counted: 499 as 4xx, 0 as none."""
    if not status:
        return "none"
    return str(status) if status in REGISTERED_STATUSES else f"{status // 100}xx"
