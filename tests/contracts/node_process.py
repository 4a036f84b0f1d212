"""A node in a process, to be killed: `python -m tests.contracts.node_process URL ROOM...`.

It enters the clients c1 and c2 into the rooms, says so, and lives on until its input ends.
"""

from __future__ import annotations

import asyncio
import sys

from longwire.hub.broker import Presence
from longwire.hub.brokers import broker_at
from longwire.hub.events import Client
from tests.contracts.settings import RecordingNode


async def live(url: str, *rooms: str) -> None:
    node = RecordingNode(broker_at(url))
    await node.broker.open(node)
    assert isinstance(node.broker, Presence)
    for room in rooms:
        for id in ("c1", "c2"):
            await node.broker.enter(room, Client(id))
    print("entered", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(live(*sys.argv[1:]))
