"""What every broker that can tell who is in a room does: `longwire.hub.broker.Presence`.

Each test runs in each of the SETTINGS in brokers.py; test_broker_outages.py has nodes that die.
"""

from __future__ import annotations

import pytest

from longwire.hub.events import Client, Join, Leave, Publication
from tests.contracts.settings import ALICE, BOB, Setting, presence, publish

pytestmark = pytest.mark.anyio


async def test_entering_and_leaving(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        here, there = presence(near), presence(far)
        await far.subscribe("lobby")
        assert await there.present("lobby") == []
        await here.enter("lobby", ALICE)
        await here.enter("lobby", ALICE)
        await there.enter("lobby", BOB)
        for table in (here, there):
            assert sorted(await table.present("lobby"), key=lambda c: c.id) == [ALICE, BOB]
        assert await here.present("attic") == []
        await here.exit("lobby", ALICE)
        await here.exit("lobby", ALICE)
        assert await there.present("lobby") == [BOB]
        await there.exit("lobby", BOB)
        assert await here.present("lobby") == []
        await publish(near.broker, "lobby", "end")
        await far.until_data("end")
        assert far.events[:-1] == [
            Join("lobby", ALICE), Join("lobby", BOB), Leave("lobby", ALICE), Leave("lobby", BOB)
        ]  # fmt: skip


async def test_a_client_is_in_each_room_by_itself(setting: Setting) -> None:
    async with setting.node() as node:
        table = presence(node)
        await table.enter("lobby", ALICE)
        await table.enter("attic", ALICE)
        await table.exit("lobby", ALICE)
        assert await table.present("lobby") == []
        assert await table.present("attic") == [ALICE]


async def test_joins_stay_in_order_with_publications(setting: Setting) -> None:
    async with setting.node() as near, setting.node() as far:
        here = presence(near)
        await far.subscribe("lobby")
        for i in range(10):
            await here.enter("lobby", ALICE)
            await publish(near.broker, "lobby", str(i))
            await here.exit("lobby", ALICE)
        await far.until(lambda: len(far.events) == 30)
        assert [type(event) for event in far.events] == [Join, Publication, Leave] * 10


async def test_closing_a_node_takes_its_clients_out(setting: Setting) -> None:
    async with setting.node() as far:
        there = presence(far)
        await far.subscribe("lobby")
        await far.subscribe("attic")
        await there.enter("lobby", Client("c3"))
        async with setting.node() as near:
            here = presence(near)
            await here.enter("lobby", ALICE)
            await here.enter("lobby", BOB)
            await here.enter("attic", ALICE)
            await here.enter("cellar", ALICE)
        await near.broker.close()
        assert await there.present("lobby") == [Client("c3")]
        assert await there.present("attic") == []
        assert await there.present("cellar") == []
        await publish(far.broker, "lobby", "end")
        await far.until_data("end")
        leaves = [event for event in far.events if isinstance(event, Leave)]
        expected = [Leave("attic", ALICE), Leave("lobby", ALICE), Leave("lobby", BOB)]
        assert sorted(leaves, key=lambda leave: (leave.room, leave.client.id)) == expected


async def test_a_closed_node_is_told_nothing_more(setting: Setting) -> None:
    async with setting.node() as far:
        async with setting.node() as near:
            await near.subscribe("lobby")
            await publish(far.broker, "lobby", "a")
            await near.until_data("a")
        await far.subscribe("lobby")
        await publish(far.broker, "lobby", "b")
        await far.until_data("b")
        assert near.data == ["a"]
        assert (near.lost, near.restored) == ([], 0)
