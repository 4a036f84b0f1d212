"""One document on several nodes: what one has, all get, whatever the broker loses."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from longwire.documents import DocumentOptions, Documents, MemoryStore, SqliteStore, Store
from longwire.documents.sync import Update, encode
from longwire.errors import BrokerError
from longwire.hub import Draft, Hub, Position, RoomOptions, Window
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from tests.conftest import Serve, Served
from tests.documents_layer.clients import PATIENCE, YjsClient, json_client
from tests.documents_layer.serving import DocumentApp, TroubledStore, eventually
from tests.documents_layer.test_serving import agree, text_of
from tests.documents_layer.test_updates import DAMAGING
from tests.waiting import stable

pytestmark = pytest.mark.anyio


class LossyBroker(MemoryBroker):
    """Loses publications on their way, or is away, as it is told."""

    def __init__(self, rooms: MemoryRooms) -> None:
        super().__init__(rooms)
        self.loss = 0.0
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.published = 0
        self._seed = random.Random(5)

    async def publish(self, room: str, draft: Draft, window: Window) -> Position | None:
        if self.is_away:
            raise BrokerError("the broker is away")
        await self.gate.wait()
        self.published += 1
        if self._seed.random() < self.loss:
            return None
        return await super().publish(room, draft, window)


@dataclass
class Node:
    documents: Documents
    broker: LossyBroker
    served: Served

    def url(self, path: str) -> str:
        return self.served.url("ws", path)


OPTIONS = DocumentOptions(sync_every=0.2)


@contextlib.asynccontextmanager
async def nodes(
    serve: Serve, *stores: Store, history: int = 0, options: DocumentOptions = OPTIONS
) -> AsyncIterator[list[Node]]:
    rooms = MemoryRooms()
    async with contextlib.AsyncExitStack() as stack:
        running = []
        for store in stores:
            broker = LossyBroker(rooms)
            room = RoomOptions(history_size=history, presence=False)
            hub = await stack.enter_async_context(Hub(broker, room=room))
            documents = Documents(store, hub=hub, options=options)
            await stack.enter_async_context(documents)
            served = await stack.enter_async_context(serve(DocumentApp(documents)))
            running.append(Node(documents, broker, served))
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longwire.documents.documents.TICK", 0.1)


async def test_edits_and_awareness_reach_the_other_node(serve: Serve) -> None:
    stores = TroubledStore(), TroubledStore()
    async with nodes(serve, *stores) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await bob.synced()
            await ada.edit(0, "from one")
            await bob.until_text("from one")
            await bob.edit(0, "and two ")
            await ada.until_text("and two from one")
            await ada.say(1, 1, '{"user":{"name":"ada"}}')
            await bob.until(lambda: bob.users.get(1) is not None)
            await bob.say(1, 9, None)  # another node's client is not bob's to speak for
            async with YjsClient(two.url("/plan")) as carol:
                await carol.until(lambda: carol.users.get(1) is not None)
            await ada.disconnect()
            await bob.until(lambda: bob.users[1] is None)
    for store in stores:  # each has all of it
        assert text_of((await store.load("plan")).parts) == "and two from one"


async def test_a_node_that_opens_a_document_gets_what_others_have(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        async with YjsClient(one.url("/plan")) as ada:
            await ada.synced()
            await ada.edit(0, "before " + 300_000 * "x")  # more than one message of the room
            await ada.say(1, 1, "{}")
            await ada.until(lambda: 1 in ada.users)
            async with YjsClient(two.url("/plan")) as bob:
                await bob.until_text(str(ada.text))
                await bob.until(lambda: 1 in bob.users)


async def test_with_a_shared_store_each_update_is_stored_once(serve: Serve) -> None:
    store = TroubledStore(is_shared=True)
    async with nodes(serve, store, store) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await bob.synced()
            for n in range(10):
                await ada.edit(n, "a")
            await bob.until_text(10 * "a")
            assert len(store.appended) == 10
            two.broker.loss = one.broker.loss = 1.0
            async with YjsClient(one.url("/other")) as carol:
                await carol.synced()
                await carol.edit(0, "in the store")
                # Confirmed to carol's own node: another editor there has it.
                async with YjsClient(one.url("/other")) as dave:
                    await dave.until_text("in the store")
                async with YjsClient(two.url("/other")) as erin:
                    await erin.until_text("in the store")


@pytest.mark.parametrize("history", [0, 50])
async def test_what_the_broker_loses_is_found(serve: Serve, history: int) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore(), history=history) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await bob.synced()
            await ada.edit(0, "hello world")
            await bob.until_text("hello world")
            one.broker.loss = two.broker.loss = 0.5
            for n in range(60):
                await (ada if n % 2 else bob).edit(0, "ab"[n % 2])
                await asyncio.sleep(0)
            await agree([ada, bob])


async def test_a_lost_deletion_is_found_too(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await ada.edit(0, "hello world")
            await bob.until_text("hello world")
            one.broker.loss = two.broker.loss = 1.0
            await ada.edit(5, delete=6)  # state vectors do not show it
            await asyncio.sleep(0.3)
            assert str(bob.text) == "hello world"
            one.broker.loss = two.broker.loss = 0.0
            await bob.until_text("hello")


async def test_a_broker_that_is_away_stops_no_editor(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await bob.synced()
            one.broker.is_away = two.broker.is_away = True
            await ada.edit(0, "alone ")
            async with YjsClient(one.url("/plan")) as carol:
                await carol.until_text("alone ")
            one.broker.is_away = two.broker.is_away = False
            await bob.until_text("alone ")


async def test_what_is_said_when_too_much_waits_is_not_lost_with_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longwire.documents.nodes.MAX_WAITING", 3)
    stores = MemoryStore(), MemoryStore()
    async with nodes(serve, *stores, options=DocumentOptions()) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await ada.edit(0, "x")
            await bob.until_text("x")
            await stable(lambda: one.broker.published + two.broker.published)  # they have compared
            one.broker.gate.clear()
            async with YjsClient(one.url("/plan")) as carol:
                await ada.edit(0, "a")  # on its way
                await ada.edit(0, "b")
                await ada.edit(0, "c")
                await carol.until_text("cbax")
                await ada.say(1, 1, "{}")  # too much: what waits is given up
                await carol.until(lambda: 1 in carol.users)
            one.broker.gate.set()
            await bob.until(lambda: 1 in bob.users)
            await bob.until_text("cbax")


async def test_nodes_that_agree_say_little(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await ada.edit(0, "hello")
            await bob.until_text("hello")
            await asyncio.sleep(0.6)
            before, began = one.broker.published + two.broker.published, time.monotonic()
            await asyncio.sleep(1.0)
            said = one.broker.published + two.broker.published - before
            seconds = time.monotonic() - began
            assert said <= 2 * (seconds / 0.16 + 1), "a state each time, and no answers"


async def test_nonsense_in_the_room_harms_nobody(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await bob.synced()
            seed = random.Random(1)
            intruder = Hub(MemoryBroker(one.broker._rooms), room=RoomOptions(history_size=0))
            async with intruder:
                for _ in range(200):
                    await intruder.publish("document:plan", seed.randbytes(seed.randint(0, 40)))
                await intruder.publish("document:plan", "text")
                await intruder.publish("document:plan", b"8 bytes.\x00\x01\x00\x00\x02\x02\xff\xff")
                await intruder.publish("document:plan", b"8 bytes.\x00\x7f" + 1000 * b"x")
            await ada.edit(0, "unharmed")
            await bob.until_text("unharmed")


async def test_json_editors_on_two_nodes(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        async with (
            json_client(one.url("/json/plan?user=ada")) as ada,
            json_client(two.url("/json/plan?user=bob")) as bob,
        ):
            await ada.edit({"at": 0, "insert": "é😀"})
            await bob.until_content("é😀")
            await bob.edit({"at": 3, "insert": "!"})
            await ada.until_content("é😀!")
            while {m["user_id"] for m in ada.heard if m["type"] == "user_joined"} != {"ada", "bob"}:
                await ada.receive()


async def with_a_hole(ada: YjsClient, url: str) -> YjsClient:
    """Return an editor, not yet connected to the address, that has the first and the third word of
    ada's, not the second, and wrote a word of its own before it heard of them.
    """
    bob = YjsClient(url)
    await bob.edit(0, "bob's ")
    for at, word in ((0, "one "), (0, "two "), (8, "three ")):
        state = ada.doc.get_state()
        await ada.edit(at, word)
        if word != "two ":
            bob.hear(ada.doc.get_update(state))
    return bob


async def go_on(bob: YjsClient) -> None:
    """Write behind the third word: that depends on it."""
    await bob.edit(str(bob.text).index("three ") + 6, "!")


def words(client: YjsClient) -> set[str]:
    return set(str(client.text).split())


async def test_an_editor_whose_updates_wait_for_anothers_goes_on(serve: Serve) -> None:
    async with nodes(serve, MemoryStore(), MemoryStore()) as (one, two):
        one.broker.loss = two.broker.loss = 1.0
        async with YjsClient(one.url("/plan")) as ada:
            await ada.synced()
            bob = await with_a_hole(ada, two.url("/plan"))
            async with bob, YjsClient(two.url("/plan")) as carol:
                for _ in range(10):
                    await go_on(bob)
                await carol.until(lambda: words(carol) == {"bob's", "one"})
                one.broker.loss = two.broker.loss = 0.0
                await agree([ada, bob, carol])
                assert "three !!!!!!!!!!" in str(carol.text)


async def test_an_editor_whose_updates_wait_for_what_nobody_has_is_told(serve: Serve) -> None:
    async with nodes(serve, MemoryStore()) as (one,):
        async with YjsClient(one.url("/other")) as ada:
            await ada.synced()
            bob = await with_a_hole(ada, one.url("/plan"))
            async with bob, YjsClient(one.url("/plan")) as carol:
                await carol.until(lambda: words(carol) == {"bob's", "one"})
                assert bob.ended is not None
                async with asyncio.timeout(PATIENCE):
                    while not bob.ended.done():
                        await go_on(bob)
                        await asyncio.sleep(0.01)
                code, reason = bob.ended.result()
                assert code == 1007
                assert "depends on" in reason
                assert words(carol) == {"bob's", "one"}


async def test_editors_at_random_on_two_nodes_with_one_file(serve: Serve, tmp_path: object) -> None:
    path = f"{tmp_path}/documents.db"
    stores = [SqliteStore(path, synchronous="NORMAL") for _ in range(2)]
    seed = random.Random(2)
    async with nodes(serve, *stores, history=20) as running:
        clients = [YjsClient(node.url("/plan")) for node in running for _ in range(2)]
        for client in clients:
            await client.connect()
        running[0].broker.loss = running[1].broker.loss = 0.2
        for _ in range(200):
            client = seed.choice(clients)
            if seed.random() < 0.04:
                await client.disconnect()
                client.url = seed.choice(running).url("/plan")
                await client.connect()
            length = len(client.text)
            at = seed.randint(0, length)
            await client.edit(at, seed.choice("abc"), seed.randint(0, min(2, length - at)))
            if seed.random() < 0.2:
                await asyncio.sleep(0)
        await agree(clients)
        text = str(clients[0].text)
        for client in clients:
            await client.__aexit__()
    store = SqliteStore(path)
    assert text_of((await store.load("plan")).parts) == text
    await store.close()


async def test_content_that_is_made_again_tells_what_others_have_stored(serve: Serve) -> None:
    store = TroubledStore(is_shared=True)
    async with nodes(serve, store, store) as (one, two):
        async with YjsClient(one.url("/plan")) as ada, YjsClient(two.url("/plan")) as bob:
            await ada.synced()
            await bob.synced()
            await bob.edit(0, "bob's ")
            await ada.until_text("bob's ")
            one.broker.loss = two.broker.loss = 1.0
            await ada.edit(0, "ada's ")
            async with YjsClient(one.url("/plan")) as carol:
                await carol.until_text("ada's bob's ")  # it is stored
            async with YjsClient(two.url("/plan")) as mallory:
                await mallory.send(encode(Update(DAMAGING)))
                assert (await mallory.close_frame())[0] == 1007
            one.broker.loss = two.broker.loss = 0.0
            await bob.until_text("ada's bob's ")


async def test_a_document_that_is_opened_while_it_is_unloaded_keeps_what_is_written(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longwire.documents.document.COMPACT_FROM", 500)
    monkeypatch.setattr("longwire.documents.nodes.LAST_DELAY", 30.0)
    store = MemoryStore()
    options = DocumentOptions(sync_every=0.2, unload_after=0.1)
    async with nodes(serve, store, options=options) as (one,):
        async with YjsClient(one.url("/plan")) as ada:
            await ada.synced()
            await ada.edit(0, 2000 * "a")  # a snapshot
            await ada.edit(0, 600 * "b")  # and enough for the next one, when it is unloaded
            one.broker.gate.clear()  # unloading waits until the broker has taken this
            await ada.edit(0, "c")
        await eventually(lambda: not len(one.documents))
        closing = list(one.documents._closing)
        async with YjsClient(one.url("/plan")) as bob, YjsClient(one.url("/plan")) as carol:
            await bob.synced()
            await bob.edit(0, "kept ")
            await carol.until(lambda: str(carol.text).startswith("kept "))
            assert not any(task.done() for task in closing)
            one.broker.gate.set()
            await asyncio.wait(closing)
            assert text_of((await store.load("plan")).parts) == str(bob.text)
