"""A node in a process of its own: `python -m tests.contracts.absence_process URL ROOM`.

It ends once it was told that somebody has left the room.
"""

from __future__ import annotations

import asyncio
import sys

from longwire.hub.brokers import broker_at
from longwire.hub.events import Leave
from tests.contracts.settings import RecordingNode


async def wait_for_absence(url: str, room: str) -> None:
    node = RecordingNode(broker_at(url))
    await node.broker.open(node)
    try:
        await node.subscribe(room)
        await node.until(lambda: any(isinstance(event, Leave) for event in node.events))
    finally:
        await node.broker.close()


if __name__ == "__main__":
    asyncio.run(wait_for_absence(*sys.argv[1:]))
