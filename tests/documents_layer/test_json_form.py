"""Editors in JSON beside editors of Yjs, on one document."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from longwire.documents import DocumentOptions, Documents
from tests.conftest import Serve, Served
from tests.documents_layer.clients import PATIENCE, YjsClient, json_client
from tests.documents_layer.serving import DocumentApp, TroubledStore, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store() -> TroubledStore:
    return TroubledStore()


@pytest.fixture
async def server(serve: Serve, store: TroubledStore) -> AsyncIterator[Served]:
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        yield server


async def test_json_and_yjs_see_each_other(server: Served) -> None:
    async with YjsClient(server.url("ws", "/plan")) as yjs:
        await yjs.synced()
        await yjs.edit(0, "é😀")
        async with json_client(server.url("ws", "/json/plan?user=ada")) as ada:
            assert (ada.content, ada.version) == ("é😀", 0)
            await ada.edit({"at": 3, "insert": " from JSON"})
            accepted = await ada.receive("edit_accepted")
            assert accepted == {
                "type": "edit_accepted",
                "operations": [{"at": 3, "insert": " from JSON"}],
                "version": 1,
            }
            await yjs.until_text("é😀 from JSON")
            await yjs.edit(0, "", delete=2)
            change = await ada.receive("document_change")
            assert change["operation"] == {"at": 0, "delete": 1}
            assert change["version"] == 2
            assert ada.content == "😀 from JSON"


async def test_who_edits_is_told(server: Served) -> None:
    url = server.url("ws", "/json/plan")
    async with json_client(url + "?user=ada") as ada, json_client(url + "?user=bob") as bob:
        assert await ada.receive("user_joined") == {"type": "user_joined", "user_id": "ada"}
        assert await ada.receive("user_joined") == {"type": "user_joined", "user_id": "bob"}
        assert bob.heard[0]["users"] == ["ada"]
        await ada.edit({"at": 0, "insert": "x"})
        assert await bob.receive("document_change") == {
            "type": "document_change",
            "operation": {"at": 0, "insert": "x"},
            "user_id": "ada",
            "version": 1,
        }
        async with YjsClient(server.url("ws", "/plan")) as yjs:
            await yjs.until(lambda: len(yjs.users) == 2)
            await yjs.say(7, 1, '{"user":{"name":"carol"}}')
            assert (await ada.receive("user_joined"))["user_id"] == "carol"
        assert (await ada.receive("user_left"))["user_id"] == "carol"


async def test_an_edit_of_an_older_version_is_moved(server: Served) -> None:
    url = server.url("ws", "/json/plan")
    async with json_client(url) as ada, json_client(url) as bob:
        await ada.edit({"at": 0, "insert": "hello world"})
        await ada.receive("edit_accepted")
        await bob.until_content("hello world")
        await ada.edit({"at": 0, "insert": "oh, "})
        await ada.receive("edit_accepted")
        await bob.edit({"at": 6, "delete": 5, "insert": "you"}, version=1)
        await bob.receive("edit_accepted")
        assert bob.content == "oh, hello you"
        await ada.until_content("oh, hello you")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"operation": {"at": 99, "insert": "x"}, "version": 1}, "version 1 has 3 units"),
        ({"operation": {"at": 0, "insert": "x"}, "version": 2}, "up to 1"),
        ({"operation": {"at": 0, "insert": "x"}}, "up to 1"),
        ({"operation": {"at": 1, "insert": "x"}, "version": 1}, "surrogate"),
        ({"operation": {"at": 0}, "version": 1}, "an operation has"),
        ({"version": 1}, "an operation is"),
    ],
)
async def test_an_edit_that_does_not_fit_is_rejected_with_the_whole_text(
    server: Served, edit: dict[str, Any], reason: str
) -> None:
    async with json_client(server.url("ws", "/json/plan")) as ada:
        await ada.edit({"at": 0, "insert": "😀x"})
        await ada.receive("edit_accepted")
        await ada.send(json.dumps({"type": "edit", **edit}))
        rejected = await ada.receive("edit_rejected")
        assert reason in rejected["reason"]
        assert (await ada.receive())["content"] == "😀x"
        await ada.edit({"at": 0, "insert": "on "})
        await ada.receive("edit_accepted")
        assert ada.content == "on 😀x"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 1007), ("[]", 1007), ('{"type":"save"}', 1007), ("[" * 100_000, 1007), (b"\x00", 1003)
    ],
)  # fmt: skip
async def test_what_is_no_edit_closes(server: Served, message: str | bytes, code: int) -> None:
    async with json_client(server.url("ws", "/json/plan")) as ada:
        await ada.send(message)
        assert (await ada.close_frame())[0] == code


async def test_a_reader_in_json_cannot_write(server: Served) -> None:
    url = server.url("ws", "/json/plan")
    async with json_client(url) as ada, json_client(url + "?role=read") as bob:
        await ada.edit({"at": 0, "insert": "x"})
        await bob.until_content("x")
        await bob.edit({"at": 0, "insert": "y"})
        assert (await bob.close_frame())[0] == 1008


async def test_nothing_is_accepted_that_was_not_stored(
    server: Served, store: TroubledStore
) -> None:
    async with json_client(server.url("ws", "/json/plan")) as ada:
        store.error = OSError("disk full")
        await ada.edit({"at": 0, "insert": "x"})
        assert (await ada.close_frame())[0] == 1013
        assert [message["type"] for message in ada.heard] == ["document_state"]


async def test_versions_go_with_the_last_editor_in_json(server: Served) -> None:
    async with YjsClient(server.url("ws", "/plan")) as yjs:
        for _ in range(2):
            async with json_client(server.url("ws", "/json/plan")) as ada:
                assert ada.version == 0
                await ada.edit({"at": 0, "insert": "x"})
                await ada.receive("edit_accepted")
            await yjs.edit(0, "y")
        await yjs.until(lambda: len(yjs.text) == 4)


async def test_json_and_yjs_at_random_agree(server: Served) -> None:
    seed = random.Random(11)
    url = server.url("ws", "/json/plan")
    async with (
        json_client(url) as ada,
        json_client(url) as bob,
        YjsClient(server.url("ws", "/plan")) as yjs,
    ):
        await yjs.synced()
        pending = {id(ada): 0, id(bob): 0}
        for _ in range(150):
            if seed.random() < 0.4:
                length = len(yjs.text)
                at = seed.randint(0, length)
                await yjs.edit(at, seed.choice("xyz"), seed.randint(0, min(3, length - at)))
                continue
            # Each edits what it last saw, with one edit on its way at most.
            editor = seed.choice((ada, bob))
            if pending[id(editor)]:
                await editor.receive("edit_accepted")
            pending[id(editor)] = 1
            at = seed.randint(0, len(editor.content))
            delete = seed.randint(0, min(3, len(editor.content) - at))
            await editor.edit({"at": at, "delete": delete, "insert": seed.choice("abc")})
        for editor in (ada, bob):
            if pending[id(editor)]:
                await editor.receive("edit_accepted")
        await yjs.edit(0, "END")
        async with asyncio.timeout(8):
            for editor in (ada, bob):
                while "END" not in editor.content:
                    await editor.receive()
        await yjs.until(lambda: str(yjs.text) == ada.content)
        assert ada.content == bob.content


async def test_what_one_is_told_has_the_version_of_its_own_change(
    serve: Serve, store: TroubledStore
) -> None:
    async with Documents(store) as documents, serve(DocumentApp(documents)) as server:
        bob, *others = editors = [YjsClient(server.url("ws", "/plan")) for _ in range(5)]
        for editor in editors:
            await editor.connect()
            await editor.synced()
        async with json_client(server.url("ws", "/json/plan")) as ada:
            await bob.edit(0, "abc")
            await ada.until_content("abc")
            document = documents._open["plan"][0]
            store.gate.clear()
            await bob.edit(0, delete=3)
            await eventually(lambda: document._writer is not None)
            # These are stored together: a deletion that has nothing left to do; a change; an embed
            # that comes and goes, which is told as the whole text; and a change behind that.
            await ada.edit({"at": 0, "delete": 3}, version=1)
            waiting = 1
            before = bob
            for editor in others:
                await eventually(lambda n=waiting: len(document._changes) == n)  # type: ignore[misc]
                editor.hear(before.doc.get_update())
                if editor is others[1]:
                    editor.text.insert_embed(0, {"image": 1})
                await editor.edit(0, *(("x",), (), ("", 1), ("y",))[waiting - 1])
                waiting += 1
                before = editor
            await eventually(lambda: len(document._changes) == waiting)
            store.gate.set()
            await ada.until_content("yx")
            assert [m for m in ada.heard if m["type"] == "edit_accepted"] == [
                {"type": "edit_accepted", "operations": [], "version": 2}
            ]
            assert [m["content"] for m in ada.heard if m["type"] == "document_state"] == [
                "", "x", "x"
            ]  # fmt: skip
            await ada.edit({"at": 2, "insert": "!"})
            await bob.until_text("yx!")
            await ada.until_content("yx!")
        for editor in editors:
            await editor.__aexit__()


async def test_a_change_in_many_places_is_told_and_moved_past(server: Served) -> None:
    text = "é😀x" * 3000 + 3000 * "z"
    async with YjsClient(server.url("ws", "/plan")) as bob:
        await bob.synced()
        await bob.edit(0, text)
        async with json_client(server.url("ws", "/json/plan")) as ada:
            with bob.doc.transaction():
                for n in range(900, 0, -1):
                    bob.text.insert(7 * n, "!")
            await bob.edit(0)
            await ada.until_content(str(bob.text))
            assert ada.version == 900
            await ada.edit({"at": 2, "delete": 11_000}, version=0)
            await ada.receive("document_state")  # it cut a character in half
            await ada.edit({"at": 1, "delete": 11_000}, version=0)
            await ada.receive("edit_accepted")
            await bob.until_text(ada.content)
            assert ada.content == "é" + 900 * "!" + text[1 + 3 * 2750 :]
            with bob.doc.transaction():
                length = len(bob.text)
                for n in range(1, 1002):  # too many to be told one by one
                    bob.text.insert(length - 2 * n, "?")
            await bob.edit(0)
            await ada.receive("document_state")
            assert ada.content == str(bob.text)


async def test_a_user_whose_name_is_too_long_stops_nothing(
    serve: Serve, store: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longwire.documents.documents.TICK", 0.02)
    documents = Documents(store, options=DocumentOptions(max_state=100, unload_after=0.1))
    async with documents, serve(DocumentApp(documents)) as server:
        async with YjsClient(server.url("ws", "/plan")) as bob:
            await bob.synced()
            store.gate.clear()
            await bob.edit(0, "x")
            url = server.url("ws", "/json/plan?user=" + 100 * "x")
            async with connect(url) as websocket:
                await eventually(lambda: len(documents._open["plan"][0]._reads) == 1)
                await asyncio.sleep(0.1)  # documents are looked after meanwhile
                store.gate.set()
                await asyncio.wait_for(websocket.wait_closed(), PATIENCE)
                assert websocket.close_code == 1009
        await eventually(lambda: not len(documents))
