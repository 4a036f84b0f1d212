"""Prometheus' view of the server: read when it is scraped, counted when it is not.

The names are a contract; docs/operations.md has the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from longwire.server.counters import ROUND_TRIP_BOUNDS, Counters, cumulative
from longwire.server.ending import Traffic
from longwire.server.session import Session
from longwire.server.state import ServerState

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

SLICE = 500
"""Connections read before the others have a turn: a quarter of a millisecond."""


@dataclass(frozen=True, slots=True)
class OpenConnections:
    """What the open WebSockets had to say of themselves."""

    traffic: Traffic
    waiting: int  # bytes to be sent, of all
    most_waiting: int  # of the one that has most


async def scrape(state: ServerState) -> bytes:
    """Return all metrics in Prometheus' text format, version 0.0.4."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(state, await read_connections(state)))
    return generate_latest(registry)


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


class ServerCollector(Collector):
    """One scrape."""

    def __init__(self, state: ServerState, connections: OpenConnections) -> None:
        self._state = state
        self._counters: Counters = state.counters
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        yield from self._open()
        yield from self._traffic()
        yield from self._endings()
        yield self._round_trips()
        yield self._requests()
        yield from self._drain()

    def _open(self) -> Iterator[Metric]:
        websockets = self._counters.websockets_open
        gauge = GaugeMetricFamily(
            "longwire_connections", "Open connections, by what they speak.", labels=["kind"]
        )
        gauge.add_metric(["http"], len(self._state.connections) - websockets)
        gauge.add_metric(["websocket"], websockets)
        yield gauge
        yield CounterMetricFamily(
            "longwire_websockets_opened", "WebSockets accepted.", self._counters.opened
        )
        yield GaugeMetricFamily(
            "longwire_websocket_send_buffer_bytes",
            "Bytes that wait for WebSockets' clients to read.",
            self._connections.waiting,
        )
        yield GaugeMetricFamily(
            "longwire_websocket_send_buffer_max_bytes",
            "Bytes that wait for the client that has most to read.",
            self._connections.most_waiting,
        )

    def _traffic(self) -> Iterator[Metric]:
        traffic = self._connections.traffic
        messages = CounterMetricFamily(
            "longwire_websocket_messages", "Whole messages of WebSockets.", labels=["direction"]
        )
        messages.add_metric(["received"], traffic.messages_received)
        messages.add_metric(["sent"], traffic.messages_sent)
        yield messages
        sizes = CounterMetricFamily(
            "longwire_websocket_bytes",
            "Bytes of WebSockets on the wire, behind the handshake and before TLS.",
            labels=["direction"],
        )
        sizes.add_metric(["received"], traffic.size_received)
        sizes.add_metric(["sent"], traffic.size_sent)
        yield sizes

    def _endings(self) -> Iterator[Metric]:
        closes = CounterMetricFamily(
            "longwire_websocket_closes",
            "WebSockets that have ended, by close code and who closed first.",
            labels=["code", "by"],
        )
        for (code, by), count in self._counters.closed.items():
            closes.add_metric([code, by.name.lower()], count)
        yield closes
        failures = CounterMetricFamily(
            "longwire_websocket_handshake_failures",
            "Opening handshakes that failed, by cause and HTTP status.",
            labels=["cause", "status"],
        )
        for (failure, status), count in self._counters.failures.items():
            failures.add_metric([failure.value, status], count)
        yield failures

    def _round_trips(self) -> Metric:
        bounds = [*map(floatToGoString, ROUND_TRIP_BOUNDS), "+Inf"]
        counts = cumulative(self._counters.round_trip_buckets)
        return HistogramMetricFamily(
            "longwire_websocket_ping_round_trip_seconds",
            "Time from a keepalive ping to its pong.",
            buckets=list(zip(bounds, map(float, counts), strict=True)),
            sum_value=self._counters.round_trip_seconds,
        )

    def _requests(self) -> Metric:
        requests = CounterMetricFamily(
            "longwire_http_requests",
            "HTTP requests answered, handshakes apart, by class of status.",
            labels=["status"],
        )
        for first, count in enumerate(self._counters.responses):
            if first >= 2:
                requests.add_metric([f"{first}xx"], count)
        return requests

    def _drain(self) -> Iterator[Metric]:
        is_draining = self._state.is_draining
        yield GaugeMetricFamily(
            "longwire_draining", "Whether the server is going away: 0 or 1.", int(is_draining)
        )
        yield GaugeMetricFamily(
            "longwire_drain_connections_left",
            "Connections that the drain has yet to end.",
            len(self._state.connections) if is_draining else 0,
        )
        yield GaugeMetricFamily(
            "longwire_drain_applications_left",
            "Applications that the drain waits for.",
            len(self._state.tasks) if is_draining else 0,
        )
