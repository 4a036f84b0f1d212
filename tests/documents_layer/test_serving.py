"""Editors of Yjs over real sockets: what they write is stored, then everybody's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from longwire.documents import DocumentOptions, Documents, MemoryStore, Role, SqliteStore
from longwire.documents.sync import (
    AwarenessUpdate,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
    encode,
)
from longwire.toolkit import Refusal, WebSocket
from tests import wire
from tests.conftest import Serve, Served
from tests.documents_layer.clients import YjsClient
from tests.documents_layer.serving import (
    DocumentApp,
    TroubledStore,
    edit_while_one_is_stored,
    eventually,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store() -> TroubledStore:
    return TroubledStore()


@pytest.fixture
async def server(serve: Serve, store: TroubledStore) -> AsyncIterator[Served]:
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        yield server


async def agree(clients: list[YjsClient]) -> None:
    """Wait until everybody has everything: a mark of each is the last that it sends."""
    marks = "ABCDEFGHIJ"[: len(clients)]
    for client, mark in zip(clients, marks, strict=True):
        await client.edit(0, mark)
    for client in clients:
        await client.until(lambda c=client: set(marks) <= set(str(c.text)))  # type: ignore[misc]
    assert len({str(client.text) for client in clients}) == 1


def text_of(updates: list[bytes]) -> str:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in updates:
        doc.apply_update(update)
    return str(doc.get("text", type=pycrdt.Text))


async def test_editors_see_each_others_edits(server: Served, store: TroubledStore) -> None:
    url = server.url("ws", "/plan")
    async with YjsClient(url) as ada, YjsClient(url) as bob:
        await ada.synced()
        await bob.synced()
        await ada.edit(0, "hello")
        await bob.until_text("hello")
        await bob.edit(5, " 😀")
        await bob.edit(0, "J", delete=1)
        await ada.until_text("Jello 😀")
    assert text_of((await store.load("plan")).parts) == "Jello 😀"


async def test_what_was_made_offline_is_asked_for(server: Served) -> None:
    url = server.url("ws", "/plan")
    ada = YjsClient(url)
    await ada.edit(0, "offline")
    async with ada, YjsClient(url) as bob:
        await bob.until_text("offline")


async def test_documents_are_apart(server: Served) -> None:
    async with YjsClient(server.url("ws", "/a")) as a, YjsClient(server.url("ws", "/b%20c")) as b:
        await a.synced()
        await a.edit(0, "a's")
        await b.synced()
        await b.edit(0, "b's")
        async with YjsClient(server.url("ws", "/a")) as other:
            await other.until_text("a's")


async def test_nothing_is_told_before_it_is_stored(server: Served, store: TroubledStore) -> None:
    url = server.url("ws", "/plan")
    async with YjsClient(url) as ada, YjsClient(url) as bob:
        await ada.synced()
        await bob.synced()
        store.gate.clear()
        await ada.edit(0, "not yet")
        # Whoever comes meanwhile asks, and is answered behind the store.
        async with YjsClient(url) as carol:
            await bob.send(encode(QueryAwareness()))
            await bob.until(lambda: isinstance(bob.heard[-1], AwarenessUpdate))
            assert (str(bob.text), str(carol.text), store.appended) == ("", "", [])
            assert not carol.is_synced.is_set()
            store.gate.set()
            await bob.until_text("not yet")
            await carol.until_text("not yet")


async def test_an_answer_has_all_that_was_told_before_it(
    serve: Serve, store: TroubledStore
) -> None:
    # Whoever gets an update first, and then an older answer, has to keep what it cannot place.
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        url = server.url("ws", "/plan")
        async with YjsClient(url) as ada, YjsClient(url) as bob, YjsClient(url) as carol:
            for client in (ada, bob, carol):
                await client.synced()
            document = documents._open["plan"][0]
            store.gate.clear()
            await ada.edit(0, "first ")
            await eventually(lambda: document._writer is not None)
            carol.heard.clear()
            await carol.send(encode(SyncStep1({})))
            await eventually(lambda: len(document._reads) == 1)
            await bob.edit(0, "second ")
            await eventually(lambda: len(document._changes) == 1)
            store.gate.set()
            await carol.until(lambda: {"first", "second"} <= set(str(carol.text).split()))
            kinds = [type(message) for message in carol.heard]
            assert kinds == [Update, SyncStep2, Update]


async def test_a_store_that_fails_sends_editors_away_and_loses_nothing(
    server: Served, store: TroubledStore
) -> None:
    url = server.url("ws", "/plan")
    async with YjsClient(url) as ada, YjsClient(url) as bob:
        await ada.synced()
        await bob.synced()
        store.error = OSError("disk full")
        await ada.edit(0, "kept by its editor")
        for client in (ada, bob):
            code, reason = await client.close_frame()
            assert code == 1013
            assert "disk full" in reason
        assert str(bob.text) == ""
        await ada.connect()
        assert (await ada.close_frame())[0] == 1013
        store.error = None
        await ada.connect()
        await bob.connect()
        await bob.until_text("kept by its editor")


async def test_a_store_that_hangs_has_failed(serve: Serve, store: TroubledStore) -> None:
    documents = Documents(store, options=DocumentOptions(store_timeout=0.2))
    async with documents, serve(DocumentApp(documents)) as server:
        async with YjsClient(server.url("ws", "/plan")) as ada:
            await ada.synced()
            store.gate.clear()
            await ada.edit(0, "x")
            assert await ada.close_frame() == (1013, "the store does not answer")


async def test_a_document_damaged_in_the_store_is_not_served(
    server: Served, store: TroubledStore
) -> None:
    await store.append("plan", [b"\x01nonsense"])
    async with YjsClient(server.url("ws", "/plan")) as ada:
        code, reason = await ada.close_frame()
        assert code == 1013
        assert "damaged" in reason


async def test_a_document_damaged_in_the_store_is_let_go_of_uncompacted(
    serve: Serve, store: TroubledStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        url = server.url("ws", "/plan")
        async with YjsClient(url) as ada, YjsClient(url) as bob:
            await ada.edit(0, 100_000 * "x")  # a snapshot at once
            await ada.edit(0, 70_000 * "y")  # and one at the end
            await bob.until(lambda: len(bob.text) == 170_000)
            document = documents._open["plan"][0]
        await store.append("plan", [b"damaged"])
    assert document.failure is not None
    assert "'plan' is not compacted" in caplog.text
    assert len((await store.load("plan")).parts) == 3, "all of it is there to be looked at"


async def test_a_reader_reads_and_is_seen_and_cannot_write(server: Served) -> None:
    url = server.url("ws", "/plan")
    async with YjsClient(url) as ada, YjsClient(url + "?role=read") as bob:
        await ada.synced()
        await bob.synced()
        await ada.edit(0, "by ada")
        await bob.until_text("by ada")
        assert not any(isinstance(message, SyncStep1) for message in bob.heard)
        await bob.say(7, 1, '{"user":{"name":"bob"}}')
        await ada.until(lambda: 7 in ada.users)
        await bob.edit(0, "by bob")
        code, reason = await bob.close_frame()
        assert (code, bob.is_denied) == (1008, True)
        assert "read-only" in reason
        await ada.edit(0, "still ")
        async with YjsClient(url) as carol:
            await carol.until_text("still by ada")


async def test_the_last_states_are_told_to_who_comes_late(server: Served) -> None:
    url = server.url("ws", "/plan")
    async with YjsClient(url) as ada:
        await ada.say(1, 1, '{"user":{"name":"ada"}}')
        await ada.until(lambda: 1 in ada.users)  # also to who said it
        async with YjsClient(url) as bob:
            await bob.until(lambda: 1 in bob.users)
            await bob.say(1, 5, None)  # of somebody else: passed over
            await bob.say(2, 1, "{}")
            await ada.until(lambda: 2 in ada.users)
            assert ada.users[1] is not None
        await ada.until(lambda: ada.users[2] is None)


async def test_who_comes_back_with_an_old_clock_is_told_and_seen_again(server: Served) -> None:
    url = server.url("ws", "/plan")
    async with YjsClient(url) as bob:
        async with YjsClient(url) as ada:
            await ada.say(1, 4, "{}")
            await bob.until(lambda: bob.users.get(1) == "{}")
        await bob.until(lambda: bob.users[1] is None)
        async with YjsClient(url) as ada:
            await ada.say(1, 4, "{}")
            await ada.until(lambda: 1 in ada.users)
            assert ada.users[1] is None, "y-websocket answers that with its next clock"
            await ada.say(1, 5, "{}")
            await bob.until(lambda: bob.users[1] == "{}")


async def test_a_server_that_starts_again_has_everything(serve: Serve, tmp_path: Path) -> None:
    ada = YjsClient("")
    for round in range(3):
        documents = Documents(SqliteStore(tmp_path / "documents.db"))
        async with documents, serve(DocumentApp(documents)) as server:
            ada.url = server.url("ws", "/plan")
            await ada.connect()
            await ada.synced()
            await ada.edit(0, f"{round}")
            async with YjsClient(ada.url) as bob:
                await bob.until_text(str(ada.text))
            await documents.close()
            assert (await ada.close_frame())[0] == 1012
    assert str(ada.text) == "210"
    ada.doc.unobserve(ada._subscription)


async def test_editors_at_random_agree_with_each_other_and_the_store(
    serve: Serve, tmp_path: Path
) -> None:
    seed = random.Random(7)
    documents = Documents(SqliteStore(tmp_path / "documents.db", synchronous="NORMAL"))
    async with documents, serve(DocumentApp(documents)) as server:
        clients = [YjsClient(server.url("ws", "/plan")) for _ in range(5)]
        for client in clients:
            await client.connect()
        for _ in range(300):
            client = seed.choice(clients)
            action = seed.random()
            if action < 0.03:
                await client.disconnect()
            elif client._websocket is None:
                await client.connect()
            length = len(client.text)
            at = seed.randint(0, length)
            await client.edit(at, seed.choice("abc"), seed.randint(0, min(2, length - at)))
            if seed.random() < 0.2:
                await asyncio.sleep(0)
        for client in clients:
            if client._websocket is None:
                await client.connect()
            await client.synced()
        await agree(clients)
        assert await documents.read("plan") == str(clients[0].text)
        for client in clients:
            await client.__aexit__()
    store = SqliteStore(tmp_path / "documents.db")
    assert text_of((await store.load("plan")).parts) == str(clients[0].text)
    await store.close()


async def test_an_idle_document_is_unloaded_and_comes_back(
    serve: Serve, store: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longwire.documents.documents.TICK", 0.05)
    documents = Documents(store, options=DocumentOptions(unload_after=0.1))
    async with documents, serve(DocumentApp(documents)) as server:
        async with YjsClient(server.url("ws", "/plan")) as ada:
            await ada.synced()
            await ada.edit(0, "kept")
            await asyncio.sleep(0.3)
            assert len(documents) == 1, "somebody is in it"
        async with asyncio.timeout(5):
            while len(documents):
                await asyncio.sleep(0.02)
        async with YjsClient(server.url("ws", "/plan")) as bob:
            await bob.until_text("kept")


async def test_open_documents_are_bounded(serve: Serve, store: TroubledStore) -> None:
    documents = Documents(store, options=DocumentOptions(max_open=2))
    async with documents, serve(DocumentApp(documents)) as server:
        async with YjsClient(server.url("ws", "/a")) as ada:
            await ada.synced()
            for name in "bcd":  # each makes room for the next
                async with YjsClient(server.url("ws", f"/{name}")) as bob:
                    await bob.synced()
                    await bob.edit(0, name)
                    async with YjsClient(bob.url) as other:
                        await other.until_text(name)
                async with asyncio.timeout(5):
                    while documents._open[name][0].holds:
                        await asyncio.sleep(0.01)
            async with YjsClient(server.url("ws", "/b")) as bob:
                await bob.until_text("b")
                async with YjsClient(server.url("ws", "/e")) as carol:
                    assert (await carol.close_frame())[0] == 1013


async def test_updates_become_a_snapshot(
    serve: Serve, store: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longwire.documents.document.COMPACT_FROM", 500)
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        async with YjsClient(server.url("ws", "/plan")) as ada:
            await ada.synced()
            for n in range(200):
                await ada.edit(n, "x")
            async with YjsClient(ada.url) as bob:
                await bob.until_text(200 * "x")
        stored = await store.load("plan")
        assert stored.snapshot is not None
        assert sum(map(len, stored.parts)) < sum(map(len, store.appended)) / 2
        assert text_of(stored.parts) == 200 * "x"


async def test_waiting_changes_are_stored_with_one_call(serve: Serve, store: TroubledStore) -> None:
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        clients = [YjsClient(server.url("ws", "/plan")) for _ in range(10)]
        await edit_while_one_is_stored(documents, store, clients, "x")
        for client in clients:
            await client.until_text(10 * "x")
            await client.__aexit__()
    assert store.appends == 2, "what waits while one is written is written together"


async def test_an_editor_that_reads_nothing_delays_nobody_and_is_let_go(serve: Serve) -> None:
    store = MemoryStore()
    app = DocumentApp(Documents(store))
    async with app.documents as documents, serve(app, ws_send_buffer=65536) as server:
        documents._outbox = type(documents._outbox)(8, 64 * 1024)
        url = server.url("ws", "/plan")
        async with YjsClient(url) as ada, YjsClient(url) as bob:
            await ada.synced()
            await bob.synced()
            async with wire.websocket(server, "/plan", receive_buffer=65536) as slow:
                for n in range(250):
                    await ada.edit(0, 50_000 * "x", delete=0 if n == 0 else 50_000)
                    await bob.until(lambda: bob.doc.get_state() == ada.doc.get_state())
                assert (await slow.close_frame()).code == 1013
            # Nobody else has noticed, and it may come back.
            async with YjsClient(url) as again:
                await again.until_text(50_000 * "x")


@pytest.mark.parametrize("name", ["", "/", "x" * 200, "%F0%9F%98%80" * 20])
async def test_a_name_that_is_none_is_refused(server: Served, name: str) -> None:
    async with YjsClient(server.url("ws", f"/{name}")) as ada:
        code, reason = await ada.close_frame()
        assert code == 1008
        assert "name" in reason


async def test_the_endpoint_asks_who_may_do_what(serve: Serve) -> None:
    asked = []

    async def authorize(websocket: WebSocket, name: str) -> Role | None:
        asked.append(name)
        if name == "closed":
            raise Refusal(401, "who are you?")
        roles: dict[str, Role] = {"mine": "write", "theirs": "read"}
        return roles.get(name)

    async with Documents() as documents:
        app = Starlette(routes=[Mount("/documents", documents.endpoint(authorize))])
        async with serve(app) as server:
            url = server.url("ws", "/documents/")
            for name, status in (("secret", 403), ("closed", 401)):
                with pytest.raises(InvalidStatus) as refused:
                    await YjsClient(url + name).connect()
                assert refused.value.response.status_code == status
            async with YjsClient(url + "mine") as ada:
                await ada.synced()
                await ada.edit(0, "x")
                async with YjsClient(url + "mine") as bob:
                    await bob.until_text("x")
            async with YjsClient(url + "theirs") as ada:
                await ada.synced()
                await ada.edit(0, "x")
                assert (await ada.close_frame())[0] == 1008
    assert set(asked) == {"secret", "closed", "mine", "theirs"}


async def test_pages_of_other_sites_are_refused(serve: Serve) -> None:
    async with Documents() as documents, serve(documents.endpoint()) as server:
        with pytest.raises(InvalidStatus):
            await connect(server.url("ws", "/plan"), origin="https://evil.example")  # type: ignore[arg-type]
