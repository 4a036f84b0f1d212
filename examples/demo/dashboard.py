"""The dashboard: what the server counts, once a second; the page makes rates of it.

server  {"at": seconds, "connections": ..., "received": ..., "sent": ..., "delivered": ..., ...}
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from longwire import Hub, WebSocket

INTERVAL = 1.0

MEMORY = Path("/proc/self/statm")

Figures = Iterable[tuple[str, dict[str, str], float]]


async def dashboard(websocket: WebSocket) -> None:
    await websocket.accept()
    closed = asyncio.ensure_future(websocket.closed)
    try:
        while not closed.done():
            await websocket.send_json(await figures(websocket))
            await asyncio.wait({closed}, timeout=INTERVAL)
    finally:
        closed.cancel()


async def figures(websocket: WebSocket) -> dict[str, float]:
    """Return the figures of this process; on other servers, the hub's alone."""
    hub: Hub = websocket.state.hub
    counts = hub.counts()
    told = {
        "at": time.monotonic(),
        "memory": memory(),
        "rooms": counts.rooms,
        "members": counts.members,
        "delivered": hub.counters.delivered,
        "dropped": hub.counters.dropped.total(),
    }
    metrics = websocket.scope.get("extensions", {}).get("longwire.metrics", {})
    if "read" in metrics:
        server: Figures = await metrics["read"]()
        told |= {
            "connections": total(server, "longwire_connections"),
            "websockets": total(server, "longwire_connections", kind="websocket"),
            "opened": total(server, "longwire_websockets_opened_total"),
            "received": total(server, "longwire_websocket_messages_total", direction="received"),
            "sent": total(server, "longwire_websocket_messages_total", direction="sent"),
            "waiting": total(server, "longwire_websocket_send_buffer_bytes"),
        }
    return told


def total(figures: Figures, name: str, **labels: str) -> float:
    """Return the sum of all figures of that name that have these labels."""
    return sum(
        value for key, has, value in figures if key == name and labels.items() <= has.items()
    )


def memory() -> int:
    """Return the bytes of memory that the process holds; its peak where there is no /proc."""
    try:
        return int(MEMORY.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
