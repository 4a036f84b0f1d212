"""What an idle member costs beyond its connection, and that other rooms cost a room nothing."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from longwire.engine.prepared import Prepared
from longwire.hub import Hub, Member

pytestmark = pytest.mark.anyio

MEMBERS, ROOMS = 1000, 100
KIB = 1024

SCOPE = {"type": "websocket", "extensions": {"longwire.fanout": {"prepare": Prepared}}}


class Connection:
    """A connection of our server, as far as an outbox sees it."""

    __slots__ = ("sent", "write")

    def __init__(self) -> None:
        self.sent = 0
        self.write = self._write  # the connection's own, not the member's

    async def send(self, message: Any) -> None:
        self.sent += 1
        if "attach" in message:
            message["attach"](self.write)

    def _write(self, message: Any) -> bool:
        self.sent += 1
        return True


def allocated() -> int:
    for _ in range(3):
        gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("has_user", [False, True])
@pytest.mark.parametrize("has_been_sent_to", [False, True])
async def test_an_idle_member_costs_a_kilobyte(
    has_user: bool, has_been_sent_to: bool, record_property: Any
) -> None:
    """Ten in a room; with a user it is in that one's room, too."""
    async with Hub() as hub:
        for _ in range(2):  # the first time fills what is kept for ever
            connections = [Connection() for _ in range(MEMBERS)]
            sends: list[Any] = [connection.send for connection in connections]
            users = [f"user-{n}" for n in range(MEMBERS)]
            tracemalloc.start()
            before = allocated()
            members: list[Member] = [None] * MEMBERS  # type: ignore[list-item]
            for number in range(MEMBERS):
                user = users[number] if has_user else None
                member = await hub.connect(sends[number], scope=SCOPE, user=user).start()
                await member.join(f"room:{number % ROOMS}")
                members[number] = member
            if has_been_sent_to:
                for number in range(ROOMS):
                    await hub.publish(f"room:{number}", "x")
                    await hub.publish(f"room:{number}", "y")
                assert {connection.sent for connection in connections} == {2}
            each = (allocated() - before) / MEMBERS
            tracemalloc.stop()
            for member in members:
                await member.end()
            assert hub.counts() == type(hub.counts())(0, 0, 0)
            del member
            members.clear()
    record_property("bytes_of_a_member", each)
    print(f"{each:.0f} bytes: user {has_user}, sent to {has_been_sent_to}")
    # Beyond the member: a tenth of its room, the room's history, a room for each user.
    bound = KIB + (3 * KIB if has_user else 0) + (KIB if has_been_sent_to else 0)
    assert each < bound, each
