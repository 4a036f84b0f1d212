"""Bad input over real sockets: who sent it is told, and nobody else notices."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pycrdt
import pytest

from longwire.documents import DocumentOptions, Documents
from longwire.documents.sync import (
    AwarenessEntry,
    AwarenessUpdate,
    SyncStep1,
    SyncStep2,
    Update,
    encode,
    number,
)
from tests.conftest import Serve, Served
from tests.documents_layer.clients import YjsClient, json_client
from tests.documents_layer.serving import (
    DocumentApp,
    TroubledStore,
    edit_while_one_is_stored,
    eventually,
)
from tests.documents_layer.test_updates import NEVER, POISON, RICH, mutate

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[Served]:
    options = DocumentOptions(max_update=20_000, max_document=50_000, max_state=1000)
    documents = Documents(TroubledStore(), options=options)
    async with documents, serve(DocumentApp(documents)) as server:
        yield server


@pytest.fixture
async def ada(server: Served) -> AsyncIterator[YjsClient]:
    """An editor who does nothing wrong, and works on."""
    async with YjsClient(server.url("ws", "/plan")) as ada:
        await ada.synced()
        await ada.edit(0, "whole")
        yield ada
        await ada.edit(len(ada.text), " still")
        async with YjsClient(ada.url) as other:
            await other.until_text(str(ada.text))
        assert str(ada.text).endswith("whole still")


async def closed_after(url: str, *messages: bytes | str) -> tuple[int, str]:
    async with YjsClient(url) as client:
        await client.synced()
        for message in messages:
            await client.send(message)
        return await client.close_frame()


@pytest.mark.parametrize("update", POISON.values(), ids=POISON)
async def test_a_poisoned_update_closes_with_1007(ada: YjsClient, update: bytes) -> None:
    if len(update) > 20_000:
        update = update[:30] + update[-10:]
    code, reason = await closed_after(ada.url, encode(Update(update)))
    assert code == 1007
    assert reason


@pytest.mark.parametrize(
    "message", [b"", b"\x09", b"\x00\x07\x00", b"\x00\x02\x05x", b"\x01\x01\x01", b"\x02\x00\x00"]
)
async def test_a_malformed_message_closes_with_1007(ada: YjsClient, message: bytes) -> None:
    assert (await closed_after(ada.url, message))[0] == 1007


async def test_text_closes_with_1003(ada: YjsClient) -> None:
    assert (await closed_after(ada.url, "hello"))[0] == 1003


async def test_an_update_over_the_limit_closes_with_1009(ada: YjsClient) -> None:
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        await bob.edit(0, 20_001 * "x")
        code, reason = await bob.close_frame()
        assert code == 1009
        assert "20000 bytes" in reason


async def test_a_document_that_is_full_closes_with_1009(ada: YjsClient) -> None:
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        for _ in range(3):
            await bob.edit(0, 18_000 * "x")
        assert await bob.close_frame() == (1009, "the document is full: 50000 bytes")
    await ada.until(lambda: len(ada.text) > 30_000)
    await ada.edit(0, delete=36_000)  # who deletes makes room


async def test_editors_together_add_no_more_than_fits(serve: Serve) -> None:
    store = TroubledStore()
    options = DocumentOptions(max_document=50_000)
    async with Documents(store, options=options) as documents, serve(DocumentApp(documents)) as one:
        ada, *others = clients = [YjsClient(one.url("ws", "/plan")) for _ in range(7)]
        await edit_while_one_is_stored(documents, store, clients, 18_000 * "x")
        await eventually(lambda: sum(c.ended is not None and c.ended.done() for c in others) == 4)
        await ada.until(lambda: len(ada.text) == 36_001)
        assert sum(map(len, store.appended)) <= 50_000
        for client in clients:
            await client.__aexit__()


async def test_a_document_that_is_full_is_open_to_who_deletes(serve: Serve) -> None:
    ada = YjsClient("")
    await ada.edit(0, 2000 * "x")
    for n in range(1000):
        await ada.edit(n, delete=1)
    content = ada.doc.get_update()
    store = TroubledStore()
    await store.append("plan", [content])
    options = DocumentOptions(max_document=len(content))
    async with Documents(store, options=options) as documents, serve(DocumentApp(documents)) as one:
        ada.url = one.url("ws", "/plan")
        async with ada, YjsClient(ada.url) as bob:
            await bob.synced()
            await ada.synced()
            await ada.edit(0, delete=900)
            await bob.until_text(str(ada.text))
            await bob.edit(0, "room again ")
            await ada.until_text(str(bob.text))


async def test_what_was_deleted_makes_room(ada: YjsClient) -> None:
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        for _ in range(10):
            await bob.edit(0, 18_000 * "x")
            await bob.edit(0, delete=18_000)
        await bob.edit(0, "done ")
        await ada.until_text("done whole")


@pytest.mark.parametrize("update", NEVER.values(), ids=NEVER)
async def test_an_update_that_never_fits_is_asked_for_and_then_refused(
    ada: YjsClient, update: bytes
) -> None:
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        # Bob answers with all that he has, which fits: what he sends does not come from there.
        assert bob.ended is not None
        while not bob.ended.done():
            await bob.send(encode(Update(update)))
            await asyncio.sleep(0.001)
        code, reason = bob.ended.result()
        assert code == 1007
        assert "depends on" in reason
        assert sum(isinstance(message, SyncStep1) for message in bob.heard) == 3


@pytest.mark.parametrize("update", NEVER.values(), ids=NEVER)
async def test_answers_that_never_fit_leave_nothing(ada: YjsClient, update: bytes) -> None:
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        for _ in range(20):
            await bob.send(encode(SyncStep2(update)))
        await bob.edit(0, "bob's ")
        await ada.until_text("bob's whole")
        await ada.edit(0, delete=6)


async def test_an_editor_that_hears_of_others_past_the_server_goes_on(ada: YjsClient) -> None:
    # Two tabs of a browser hear of each other directly; one of them has lost its connection.
    tab = YjsClient(ada.url)
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        tab.hear(bob.doc.get_update())
        for n in range(6):
            await tab.edit(0, f"{n}")
            bob.hear(tab.doc.get_update())
            await bob.edit(1, ".")
            await ada.until_text(str(bob.text))
        await bob.edit(0, delete=12)
        await ada.until_text("whole")


async def test_an_update_that_came_before_what_it_depends_on_is_asked_for(
    ada: YjsClient,
) -> None:
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        await bob.until_text("whole")
        state = bob.doc.get_state()
        with bob.doc.transaction():
            bob.text.insert(0, "first ")
        between = bob.doc.get_state()
        with bob.doc.transaction():
            bob.text.insert(6, "second ")
        del state
        bob._waiting.clear()
        await bob.send(encode(Update(bob.doc.get_update(between))))
        await ada.until_text("first second whole")


async def test_an_update_of_another_document_is_that_documents_text(ada: YjsClient) -> None:
    other: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    other["text"] = pycrdt.Text("of another ")
    async with YjsClient(ada.url) as bob:
        await bob.synced()
        await bob.send(encode(Update(other.get_update())))
        await ada.until(lambda: "of another " in str(ada.text))
        await ada.edit(str(ada.text).index("of another"), delete=11)


async def test_an_update_that_breaks_pycrdt_leaves_the_document(ada: YjsClient) -> None:
    # Two parts that wait for each other: they are whole, and pycrdt would keep them for ever.
    circle = b"\x02\x01\x08\x00\x84\x07\x00\x01a\x01\x07\x00\x84\x08\x00\x01b\x00"
    assert (await closed_after(ada.url, encode(Update(circle))))[0] == 1007


async def test_half_of_a_character_deleted_damages_nothing_that_is_stored(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longwire.documents.document.COMPACT_FROM", 500)
    store = TroubledStore()
    async with Documents(store) as documents, serve(DocumentApp(documents)) as one:
        async with YjsClient(one.url("ws", "/plan"), pycrdt.Doc(client_id=5)) as ada:
            await ada.synced()
            await ada.edit(0, "a😀b")
            ada.doc.get("map", type=pycrdt.Map)["list"] = pycrdt.Array([1])
            await ada.edit(0, "c")
            await ada.send(encode(Update(b"\x00\x01\x05\x01\x01\x01")))
            for _ in range(50):
                await ada.edit(0, 20 * "x")
            await eventually(lambda: len(documents._open["plan"][0].content()) > 1000)
            text = await documents.read("plan")
    async with Documents(store) as again:
        assert await again.read("plan") == text


async def test_mutated_updates_at_random(ada: YjsClient) -> None:
    seed = random.Random(3)
    bob = YjsClient(ada.url)
    await bob.connect()
    for _ in range(300):
        await bob.send(encode(Update(mutate(seed.choice(RICH[:-2]), seed))))
        assert bob.ended is not None
        if bob.ended.done():
            assert bob.ended.result()[0] in (1007, 1006)
            await bob.connect()
    await bob.disconnect()
    bob.doc.unobserve(bob._subscription)
    async with YjsClient(ada.url) as carol:
        await carol.synced()
        await carol.until(lambda: str(carol.text).endswith("whole"))
    await ada.until(lambda: str(ada.text).endswith("whole"))
    await ada.edit(0, delete=len(ada.text) - len("whole"))


async def test_awareness_over_the_limit_closes_with_1009(ada: YjsClient) -> None:
    state = ('{"x":"' + 2000 * "x" + '"}').encode()
    part = number(1) + number(7) + number(1) + number(len(state)) + state
    assert (await closed_after(ada.url, b"\x01" + number(len(part)) + part))[0] == 1009


async def test_one_message_of_many_states_is_told_as_one(ada: YjsClient) -> None:
    entries = [
        AwarenessEntry(7, clock, f'{{"user":{{"name":"{"ab"[clock % 2]}"}}}}')
        for clock in range(1, 401)
    ]
    json_url = ada.url.replace("/plan", "/json/plan")
    async with json_client(json_url) as bob, YjsClient(ada.url + "?role=read") as mallory:
        await mallory.send(encode(AwarenessUpdate(tuple(entries))))
        assert await bob.receive() == {"type": "user_joined", "user_id": "a"}
        await ada.until(lambda: 7 in ada.users)
        told = [m for m in ada.heard if isinstance(m, AwarenessUpdate) and m.entries]
        assert [m.entries for m in told] == [(entries[-1],)]


async def test_awareness_that_is_no_json_closes_with_1007(ada: YjsClient) -> None:
    part = number(1) + number(7) + number(1) + number(3) + b"NaN"
    assert (await closed_after(ada.url, b"\x01" + number(len(part)) + part))[0] == 1007
