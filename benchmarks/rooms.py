"""What joining, leaving and publishing cost beside other rooms, and what a member costs in memory.

    python -m benchmarks.rooms            10 to 10,000 other rooms, ten members in each
    python -m benchmarks.rooms 1000 5     up to 1,000, five in each

No sockets: the hub alone, over the broker in memory, with connections that take everything.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from typing import Any

from longwire.engine.prepared import Prepared
from longwire.hub import Hub, Member

SCOPE = {"type": "websocket", "extensions": {"longwire.fanout": {"prepare": Prepared}}}
TIMES = 2000
HERE = 10  # members in the room that is measured


def take(message: Any) -> bool:
    return True


async def send(message: Any) -> None:
    if "attach" in message:
        message["attach"](take)


async def settle(hub: Hub, others: int, each: int, members: list[Member]) -> None:
    """Have so many other rooms, with so many members in each."""
    while len(members) < others * each:
        member = await hub.connect(send, scope=SCOPE).start()
        await member.join(f"other:{len(members) // each}")
        members.append(member)


async def measure(hub: Hub) -> tuple[float, float, float, float]:
    """Return the microseconds of join, leave and publish, and of a room made and given up."""
    async with hub.connect(send, scope=SCOPE) as first:
        await first.join("here")
        others = [await hub.connect(send, scope=SCOPE).start() for _ in range(HERE - 1)]
        for member in others:
            await member.join("here")
        coming = hub.connect(send, scope=SCOPE)
        await coming.start()
        gc.collect()
        joining = leaving = rooms = 0.0
        for number in range(TIMES):
            start = time.perf_counter()
            await coming.join("here")
            joined = time.perf_counter()
            await coming.leave("here")
            left = time.perf_counter()
            await coming.join(f"new:{number}")
            await coming.leave(f"new:{number}")
            joining += joined - start
            leaving += left - joined
            rooms += time.perf_counter() - left
        start = time.perf_counter()
        for _ in range(TIMES):
            await hub.publish("here", "hello")
        publishing = time.perf_counter() - start
        for member in (coming, *others):
            await member.end()
    return joining * 1e6, leaving * 1e6, publishing * 1e6, rooms * 1e6


async def main(most: int, each: int) -> None:
    hub = Hub()
    members: list[Member] = []
    print("other rooms  members   join us  leave us  publish us  room made and left us")
    others = 10
    async with hub:
        await measure(hub)
        while others <= most:
            await settle(hub, others, each, members)
            figures = [figure / TIMES for figure in await measure(hub)]
            print(
                f"{others:11,}  {len(members):7,}  {figures[0]:8.1f}  {figures[1]:8.1f}"
                f"  {figures[2]:10.1f}  {figures[3]:21.1f}"
            )
            others *= 10
        for member in members:
            await member.end()
        members.clear()
        gc.collect()
        tracemalloc.start()
        await settle(hub, most, each, members)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0] / len(members)
        print(f"{size:,.0f} bytes for each of {len(members):,} idle members, the rooms included")


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in sys.argv[1:] or ("10000", "10"))))
