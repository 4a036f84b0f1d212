"""The hub over real sockets, on our server and on uvicorn, with the broker in memory."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as ClientClosed

from longwire.errors import BrokerError, HubError, InvalidPosition, InvalidRoom, MessageTooLarge
from longwire.hub import (
    Client,
    Event,
    Gap,
    Hub,
    Join,
    Joined,
    Leave,
    OnGap,
    OutboxOptions,
    Overflow,
    Position,
    Publication,
    RoomOptions,
)
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from tests.hub.conftest import RunHost, received
from tests.hub.connections import PATIENCE, FakeConnection, until
from tests.hub.world import World

pytestmark = pytest.mark.anyio


def as_json(event: Event) -> str:
    """A format of an application: everything is told, with positions."""
    told: dict[str, Any] = {"type": type(event).__name__.lower()}
    if isinstance(event, Publication):
        assert isinstance(event.data, str)
        told |= {"data": event.data, "position": str(event.position)}
        told["sender"] = event.sender and event.sender.info
    elif isinstance(event, (Joined, Gap)):
        told["position"] = str(event.position)
    else:
        told["info"] = event.client.info
    return json.dumps(told)


async def test_publish_join_leave(run: RunHost) -> None:
    async with Hub() as hub, run(hub) as host:
        async with host.client() as (first, one), host.client() as (second, two):
            await one.join("lobby")
            await hub.publish("lobby", "to one")
            await two.join("lobby")
            position = await hub.publish("lobby", "to both")
            assert position is not None
            assert position.offset == 2
            await one.leave("lobby")
            await one.leave("lobby")  # harmless
            await hub.publish("lobby", "to two")
            await hub.publish("elsewhere", "to nobody")
            await one.send("the end")
            await two.send("the end")
            assert [await received(first) for _ in range(3)] == ["to one", "to both", "the end"]
            assert [await received(second) for _ in range(3)] == ["to both", "to two", "the end"]
            assert (one.rooms, two.rooms) == ((), ("lobby",))
            assert hub.members("lobby") == [two]
            assert hub.counts().rooms == 1
            assert (hub.counters.published, hub.counters.delivered) == (4, 6)


@pytest.mark.parametrize("policy", [p for p in Overflow if p is not Overflow.DISCONNECT])
async def test_every_message_is_delivered_or_dropped(policy: Overflow) -> None:
    connection = FakeConnection(is_open=False)
    hub = Hub(outbox=OutboxOptions(2, overflow=policy))
    async with hub, hub.connect(connection) as member:
        await member.join("lobby")
        for number in range(9):
            await hub.publish("lobby", str(number), key="k", exclude=None if number else member)
        assert hub.counters.delivered == 0
        connection.gate.set()
        await until(lambda: hub.counters.delivered + hub.counters.dropped[policy] == 8)
        before = hub.counters.delivered
        assert before == len(connection.sent)
        connection.error = OSError()
        await hub.publish("lobby", "lost")
        await until(lambda: not hub.members("lobby"))
        assert (hub.counters.published, hub.counters.delivered) == (10, before)


async def test_what_the_broker_did_not_take_is_not_published() -> None:
    hub = Hub(world := World())
    async with hub:
        publishing = asyncio.create_task(hub.publish("lobby", "x"))
        await until(lambda: world.pending)
        world.fail(world.pending[0], is_applied=False)
        with pytest.raises(BrokerError):
            await publishing
        assert hub.counters.published == 0


MESSAGES = ["", "x", "größer " * 300, b"", b"\x00\xff" * 300, {"a": [1, None]}, [], 17, None, True]


async def test_text_binary_json_and_empty_messages(run: RunHost) -> None:
    async with Hub() as hub, run(hub) as host, host.client() as (client, member):
        await member.join("lobby")
        for message in MESSAGES:
            await hub.publish("lobby", message)
            await member.send(message)
        for message in MESSAGES:
            for answer in (await received(client), await received(client)):
                expected = message if isinstance(message, (str, bytes)) else json.loads(answer)
                assert (message, type(answer)) == (
                    expected, bytes if isinstance(message, bytes) else str,
                )  # fmt: skip
                if isinstance(message, (str, bytes)):
                    assert answer == message


async def test_exclude_and_sender(run: RunHost) -> None:
    async with Hub(format=as_json) as hub, run(hub) as host:
        host.app.format = as_json
        async with host.client() as (first, one), host.client("ann") as (second, two):
            await one.join("lobby", info={"name": "one"})
            await two.join("lobby", info={"name": "two"})
            await hub.publish("lobby", "hello", sender=two, exclude=one)
            await hub.publish("lobby", "bye", sender=one)
            stranger = hub.connect(host.app.sends[0])
            await hub.publish("lobby", "?", sender=stranger, exclude=stranger)
            told: dict[Any, list[Any]] = {}
            for client, count in ((first, 5), (second, 5)):
                told[client] = [json.loads(await received(client)) for _ in range(count)]
            publications = [
                [(t["data"], t["sender"]) for t in told[client] if t["type"] == "publication"]
                for client in (first, second)
            ]
            both: list[Any] = [("bye", {"name": "one"}), ("?", None)]
            assert publications == [both, [("hello", {"name": "two"}), *both]]


async def test_all_devices_of_a_user(run: RunHost) -> None:
    async with Hub() as hub, run(hub) as host:
        async with (
            host.client("ann") as (phone, one),
            host.client("ann") as (tablet, two),
            host.client("bob") as (other, three),
        ):
            assert (hub.counts().members, hub.counts().users) == (3, 2)
            await hub.send_to_user("ann", {"a": 1})
            await hub.send_to_user("nobody", "x")
            assert [await received(phone), await received(tablet)] == ['{"a":1}'] * 2
            await hub.disconnect_user("ann", 4000, "elsewhere")
            for client in (phone, tablet):
                with pytest.raises(ClientClosed):
                    await received(client)
                assert (client.close_code, client.close_reason) == (4000, "elsewhere")
            await until(lambda: hub.counts().members == 1)
            assert hub.counts().users == 1
            await three.send("still here")
            assert await received(other) == "still here"
            assert await one.send("late") is await two.send("late") is False


async def test_presence_is_told_and_asked(run: RunHost) -> None:
    async with Hub() as hub, run(hub) as host:
        async with hub.subscribe("lobby") as events:
            async with host.client("ann") as (_, one):
                await one.join("lobby", info={"n": 1})
                await one.join("lobby", info={"n": 2})  # the info changes, nobody joins
                async with host.client() as (_, two):
                    await two.join("lobby")
                    present = {client.id: client for client in await hub.presence("lobby")}
                    ann = Client(one.id, "ann", {"n": 2})
                    assert present == {one.id: ann, two.id: Client(two.id)}
                    assert set(hub.members("lobby")) == {one, two}
                await until(lambda: hub.members("lobby") == [one])
            await until(lambda: hub.members("lobby") == [])
            told = [await asyncio.wait_for(anext(events), PATIENCE) for _ in range(5)]
        assert isinstance(told[0], Joined)
        assert told[1:] == [
            Join("lobby", Client(one.id, "ann", {"n": 1})),
            Join("lobby", Client(two.id)),
            Leave("lobby", Client(two.id)),
            Leave("lobby", Client(one.id, "ann", {"n": 2})),
        ]
        assert await hub.presence("lobby") == await hub.presence("elsewhere") == []
        assert hub.counts().rooms == 0


async def test_history(run: RunHost) -> None:
    async with Hub(room=RoomOptions(history_size=3)) as hub:
        positions = [await hub.publish("lobby", str(number)) for number in range(5)]
        for since, limit, data, is_whole in [
            (None, None, "234", True), (None, 2, "34", True), (None, 0, "", True),
            (positions[3], None, "4", True), (positions[4], None, "", True),
            (positions[1], None, "234", True), (positions[1], 2, "23", True),
            (positions[0], None, "234", False), (Position(3, "other"), 2, "23", False),
            (str(positions[2]), None, "34", True),
        ]:  # fmt: skip
            history = await hub.history("lobby", since=since, limit=limit)
            assert "".join(str(p.data) for p in history.publications) == data, (since, limit)
            assert (history.is_whole, history.position) == (is_whole, positions[4])


@pytest.mark.parametrize(
    ("since", "is_recovered", "told"),
    [
        (None, None, []),
        (4, True, []),
        (2, True, ["2", "3"]),
        (1, True, ["1", "2", "3"]),
        (0, False, []),
        ("9:other", False, []),
        ("99:{epoch}", False, []),
    ],
)
async def test_resuming(run: RunHost, since: Any, is_recovered: bool | None, told: Any) -> None:
    async with Hub(room=RoomOptions(history_size=3)) as hub, run(hub) as host:
        host.app.format = as_json
        epoch = ""
        for number in range(4):
            position = await hub.publish("lobby", str(number))
            assert position is not None
            epoch = position.epoch
        if isinstance(since, int):
            since = f"{since}:{epoch}"
        elif since:
            since = since.format(epoch=epoch)
        async with host.client() as (client, member):
            joined = await member.join("lobby", since=since)
            assert joined.is_recovered is is_recovered
            # Cut off before it has the rest, it comes back with this, and misses nothing.
            asked = since if is_recovered else f"4:{epoch}"
            assert str(joined.position) == asked
            await hub.publish("lobby", "live")
            events = [json.loads(await received(client)) for _ in range(len(told) + 3)]
            assert [e["type"] for e in events] == (
                ["joined"] + ["publication"] * len(told) + ["join", "publication"]
            )
            data = [event["data"] for event in events if event["type"] == "publication"]
            assert data == [*told, "live"]


@pytest.mark.parametrize("since", ["", "x", "1", ":", "-1:a"])
async def test_a_malformed_position_costs_nothing(run: RunHost, since: str) -> None:
    async with Hub() as hub, run(hub) as host, host.client() as (client, member):
        with pytest.raises(InvalidPosition):
            await member.join("lobby", since=since)
        assert hub.members("lobby") == []
        await member.join("lobby")
        await hub.publish("lobby", "it goes on")
        assert await received(client) == "it goes on"


async def test_what_is_refused_leaves_the_connection_as_it_is(run: RunHost) -> None:
    async with Hub(max_message_size=10) as hub, run(hub) as host, host.client() as (client, member):
        for name in ("", "a b", "@ann"):
            with pytest.raises(InvalidRoom):
                await member.join(name)
            with pytest.raises(InvalidRoom):
                await hub.publish(name, "x")
            with pytest.raises(InvalidRoom):
                await member.leave(name)
        with pytest.raises(MessageTooLarge):
            await member.send("x" * 11)
        with pytest.raises(MessageTooLarge):
            await hub.publish("lobby", "x" * 11)
        await member.join("lobby")
        await hub.publish("lobby", "x" * 10)
        assert await received(client) == "x" * 10


async def test_formats(run: RunHost, caplog: pytest.LogCaptureFixture) -> None:
    """One that fails, or makes what cannot be sent, costs its own members that event, no more."""

    def failing(event: Event) -> str:
        if isinstance(event, Publication) and event.data == "bad":
            raise ZeroDivisionError
        return as_json(event)

    def silent(event: Event) -> None:
        return None

    def surrogate(event: Event) -> str:
        return "\ud800" if isinstance(event, Publication) and event.data == "bad" else "ok"

    def wrong(event: Event) -> Any:
        return {"a": 1}

    async with Hub() as hub, run(hub) as host:
        clients: dict[Any, Any] = {}
        for format in (failing, silent, surrogate, wrong, as_json):
            host.app.format = format
            opening = host.client()
            client, member = clients[format] = await opening.__aenter__()
            clients[format] = client, member, opening
            with caplog.at_level(logging.CRITICAL, "longwire.hub"):
                await member.join("lobby")
        with caplog.at_level(logging.ERROR, "longwire.hub"):
            for data in ("good", "bad", "good"):
                await hub.publish("lobby", data)
        assert any("a format failed" in record.message for record in caplog.records)
        told: dict[Any, list[Any]] = {}
        for format, (client, member, _) in clients.items():
            await member.send("the end")
            told[format] = []
            while (message := await received(client)) != "the end":
                told[format].append(message)
        texts = {
            format: [json.loads(m)["data"] for m in told[format] if '"data"' in m]
            for format in (failing, as_json)
        }
        assert texts == {failing: ["good", "good"], as_json: ["good", "bad", "good"]}
        assert told[silent] == told[wrong] == []
        assert set(told[surrogate]) == {"ok"}
        for _, _, opening in clients.values():
            await opening.__aexit__(None, None, None)


async def test_rooms_by_their_prefix(run: RunHost) -> None:
    kinds = {
        "cursor": RoomOptions(history_size=0, presence=False),
        "doc": RoomOptions(history_size=1),
    }
    async with Hub(rooms=kinds) as hub, run(hub) as host, host.client() as (client, member):
        for name, positions in (("cursor:1", False), ("doc:1", True), ("cursors", True)):
            joined = await member.join(name)
            assert (joined.position is not None) is positions
            assert (await hub.publish(name, name) is not None) is positions
            assert await received(client) == name
        assert (await member.join("cursor:1", since="1:a")).is_recovered is False
        with pytest.raises(HubError, match="history"):
            await hub.history("cursor:1")
        await hub.publish("doc:1", "again")
        assert len((await hub.history("doc:1")).publications) == 1
        assert [len(await hub.presence(name)) for name in ("cursor:1", "doc:1")] == [0, 1]
        assert len(hub.members("cursor:1")) == 1


async def test_two_nodes(run: RunHost) -> None:
    rooms = MemoryRooms()
    async with Hub(MemoryBroker(rooms)) as here, Hub(MemoryBroker(rooms)) as there:
        async with run(here) as host, run(there) as other:
            async with host.client("ann") as (first, one), other.client("ann") as (second, two):
                async with there.subscribe("lobby") as events:
                    await one.join("lobby", info=1)
                    await two.join("lobby", info=2)
                    assert len(await here.presence("lobby")) == 2
                    assert (here.members("lobby"), there.members("lobby")) == ([one], [two])
                    await here.publish("lobby", "from here")
                    await there.publish("lobby", "from there", exclude=one)
                    await there.send_to_user("ann", "to ann")
                    assert [await received(first) for _ in range(2)] == ["from here", "to ann"]
                    expected = ["from here", "from there", "to ann"]
                    assert [await received(second) for _ in expected] == expected
                    await here.close()
                    told = [type(await asyncio.wait_for(anext(events), 5)) for _ in range(6)]
                    assert told == [Joined, Join, Join, Publication, Publication, Leave]
                    assert len(await there.presence("lobby")) == 1


async def test_a_subscription_has_a_policy_as_well(run: RunHost) -> None:
    async with Hub() as hub:
        reader = OutboxOptions(2, overflow=Overflow.DROP_OLDEST)
        strict = OutboxOptions(2, overflow=Overflow.DISCONNECT)
        async with (
            hub.subscribe("lobby", options=reader) as events,
            hub.subscribe("lobby", options=strict) as few,
        ):
            for number in range(4):
                await hub.publish("lobby", str(number))
            told = [await anext(events) for _ in range(3)]
            assert [e.data for e in told if isinstance(e, Publication)] == ["2", "3"]
            assert (events.dropped, few.dropped) == (2, 1)
            assert isinstance(await anext(few), Joined)
            assert [await anext(few) for _ in range(2)]
            with pytest.raises(HubError, match="fast enough"):
                await anext(few)
            assert hub.counters.dropped == {Overflow.DROP_OLDEST: 2, Overflow.DISCONNECT: 1}
            await hub.close()
            with pytest.raises(StopAsyncIteration):
                await anext(events)


async def test_a_gap_closes_if_it_is_to(run: RunHost) -> None:
    """The memory's broker loses nothing: the room is told of another epoch by hand."""
    hub = Hub(room=RoomOptions(on_gap=OnGap.CLOSE))
    async with hub, run(hub) as host, host.client() as (client, member):
        await member.join("lobby")
        room = hub._rooms.find("lobby")
        assert room is not None
        room.position = Position(7, "lost")
        await hub.publish("lobby", "x")
        with pytest.raises(ClientClosed):
            await received(client)
        assert client.close_code == 1013
        await until(lambda: hub.counts().members == 0)
