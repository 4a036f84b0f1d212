"""What one process's server says of itself: read when it is asked, counted when it is not.

The names are a contract; docs/operations.md has the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from longwire.server.counters import ROUND_TRIP_BOUNDS, Counters
from longwire.server.ending import Traffic
from longwire.server.families import Family, counter, gauge, histogram, merged
from longwire.server.session import Session
from longwire.server.state import ServerState

RECEIVED = (("direction", "received"),)
SENT = (("direction", "sent"),)

SLICE = 500
"""Connections read before the others have a turn: a quarter of a millisecond."""


@dataclass(frozen=True, slots=True)
class OpenConnections:
    """What the open WebSockets had to say of themselves."""

    traffic: Traffic
    waiting: int  # bytes to be sent, of all
    most_waiting: int  # of the one that has most


async def collect(state: ServerState) -> list[Family]:
    """Return all families; long lists of connections are read in turns with the others' work."""
    connections = await read_connections(state)
    counters = state.counters
    return [
        *_connections(state, connections),
        *_traffic(connections.traffic),
        *_endings(counters),
        _round_trips(counters),
        _requests(counters),
        *_drain(state),
        *merged(state.registered.collect()),
    ]


async def read(state: ServerState) -> list[tuple[str, dict[str, str], float]]:
    """Return the same for the application, as (name, labels, value) for each figure."""
    return [
        (family.name + sample.suffix, dict(sample.labels), sample.value)
        for family in await collect(state)
        for sample in family.samples
    ]


async def read_connections(state: ServerState) -> OpenConnections:
    """Add up what the open connections have counted, and what the ended ones have.

    A connection that ends meanwhile is in the list and not in the total, so that no counter ever
    goes back: the total is read first, in the same turn of the loop as the list.
    """
    traffic = state.counters.traffic
    connections = list(state.connections)
    waiting = most_waiting = 0
    for start in range(0, len(connections), SLICE):
        if start:
            await asyncio.sleep(0)
        part = connections[start : start + SLICE]
        figures = [session.figures() for session in part if isinstance(session, Session)]
        if figures:
            *flows, sizes = zip(*figures, strict=True)
            traffic = traffic.plus(Traffic(*map(sum, flows)))
            waiting += sum(sizes)
            most_waiting = max(most_waiting, max(sizes))
    return OpenConnections(traffic, waiting, most_waiting)


def _connections(state: ServerState, connections: OpenConnections) -> Iterator[Family]:
    websockets = state.counters.websockets_open
    yield gauge(
        "longwire_connections",
        "Open connections, by what they speak.",
        ((("kind", "http"),), len(state.connections) - websockets),
        ((("kind", "websocket"),), websockets),
    )
    yield counter("longwire_websockets_opened", "WebSockets accepted.", ((), state.counters.opened))
    yield gauge(
        "longwire_websocket_send_buffer_bytes",
        "Bytes that wait for WebSockets' clients to read.",
        ((), connections.waiting),
    )
    yield gauge(
        "longwire_websocket_send_buffer_max_bytes",
        "Bytes that wait for the client that has most to read.",
        ((), connections.most_waiting),
        is_maximum=True,
    )


def _traffic(traffic: Traffic) -> Iterator[Family]:
    yield counter(
        "longwire_websocket_messages",
        "Whole messages of WebSockets.",
        (RECEIVED, traffic.messages_received),
        (SENT, traffic.messages_sent),
    )
    yield counter(
        "longwire_websocket_bytes",
        "Bytes of WebSockets on the wire, behind the handshake and before TLS.",
        (RECEIVED, traffic.size_received),
        (SENT, traffic.size_sent),
    )


def _endings(counters: Counters) -> Iterator[Family]:
    yield counter(
        "longwire_websocket_closes",
        "WebSockets that have ended, by close code and who closed first.",
        *(
            ((("code", code), ("by", by.word)), count)
            for (code, by), count in counters.closed.items()
        ),
    )
    yield counter(
        "longwire_websocket_handshake_failures",
        "Opening handshakes that failed, by cause and HTTP status.",
        *(
            ((("cause", failure.value), ("status", status)), count)
            for (failure, status), count in counters.failures.items()
        ),
    )


def _round_trips(counters: Counters) -> Family:
    return histogram(
        "longwire_websocket_ping_round_trip_seconds",
        "Time from a keepalive ping to its pong.",
        ROUND_TRIP_BOUNDS,
        counters.round_trip_buckets,
        counters.round_trip_seconds,
    )


def _requests(counters: Counters) -> Family:
    return counter(
        "longwire_http_requests",
        "HTTP requests answered, handshakes apart, by class of status.",
        *(
            ((("status", f"{first}xx"),), count)
            for first, count in enumerate(counters.responses)
            if first >= 2
        ),
    )


def _drain(state: ServerState) -> Iterator[Family]:
    is_draining = state.is_draining
    yield gauge("longwire_draining", "Processes that are going away.", ((), int(is_draining)))
    yield gauge(
        "longwire_drain_connections_left",
        "Connections that the drain has yet to end.",
        ((), len(state.connections) if is_draining else 0),
    )
    yield gauge(
        "longwire_drain_applications_left",
        "Applications that the drain waits for.",
        ((), len(state.tasks) if is_draining else 0),
    )
