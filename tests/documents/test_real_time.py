"""The API page's real-time applications: live updates, and editing together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette

from longwire import WebSocket, WebSocketRoute
from longwire.toolkit.testing import AsyncTestClient
from tests.applications import Recorder
from tests.conftest import Serve
from tests.documents.blocks import collaborative_editing, live_updates
from tests.documents.conftest import Connect

pytestmark = pytest.mark.anyio

INTERVAL = 5.0
"""Seconds between two of the block's updates."""


async def test_the_first_update(connect: Connect) -> None:
    async with connect(WebSocketRoute("/", live_updates.live_updates_websocket)) as client:
        async with client.websocket_connect("/") as websocket:
            update = await websocket.receive_json()
            assert update["type"] == "update"
            assert 1 <= update["data"]["value"] <= 100
            assert 0 < update["metrics"]["memory"] <= 100
            # It is asleep, and hears nothing: as a lost client it has a second, then is cancelled.
            await websocket.lose()


async def test_updates_until_the_client_leaves(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    app = WebSocketRoute("/", live_updates.live_updates_websocket)

    async def stay() -> None:
        async with serve(app, timeout_graceful_shutdown=0.1) as server:
            async with AsyncTestClient(server.url("http", ""), timeout=INTERVAL + 5) as client:
                async with client.websocket_connect("/") as websocket:
                    first, second = [await websocket.receive_json() for _ in range(2)]
                    assert first["timestamp"] < second["timestamp"]

    async def leave() -> None:
        leaving = Recorder(app)
        async with serve(leaving) as server, AsyncTestClient(server.url("http", "")) as client:
            async with client.websocket_connect("/") as websocket:
                await websocket.receive_json()
            # It sends next after its interval, and learns then that the client has left.
            await asyncio.wait_for(leaving.ended.wait(), INTERVAL + 5)
            assert leaving.error is None

    await asyncio.gather(stay(), leave())
    assert "Client disconnected from live updates\n" in capsys.readouterr().out


@pytest.fixture
def documents() -> Any:
    return collaborative_editing.DocumentManager()


def editor(documents: Any) -> Starlette:
    async def edit(websocket: WebSocket) -> None:
        """What the page leaves out: the endpoint around its manager."""
        document, user = websocket.path_params["document"], websocket.query_params["user"]
        await websocket.accept()
        await documents.join_document(websocket, document, user)
        async for operation in websocket.iter_json():
            await documents.handle_edit(document, user, operation)

    return Starlette(routes=[WebSocketRoute("/{document}", edit)])


async def test_editing_together(connect: Connect, documents: Any) -> None:
    state = {"type": "document_state"}
    hello = {"insert": "hello", "at": 0}
    async with connect(editor(documents)) as client:
        async with client.websocket_connect("/paper?user=ada") as ada:
            assert await ada.receive_json() == {**state, "content": "", "version": 0}
            async with client.websocket_connect("/paper?user=bob") as bob:
                assert await bob.receive_json() == {**state, "content": "", "version": 0}
                assert await ada.receive_json() == {"type": "user_joined", "user_id": "bob"}
                await ada.send_json(hello)
                change = {"type": "document_change", "user_id": "ada", "version": 1}
                assert await bob.receive_json() == {**change, "operation": hello}
                await bob.send_json({"insert": "!", "at": 5})
                assert (await ada.receive_json())["version"] == 2
            async with client.websocket_connect("/paper?user=carol") as carol:
                assert await carol.receive_json() == {**state, "content": "hello!", "version": 2}


async def test_who_has_left_is_removed(connect: Connect, documents: Any) -> None:
    async with connect(editor(documents)) as client:
        async with client.websocket_connect("/paper?user=ada") as ada:
            await ada.receive_json()
            async with client.websocket_connect("/paper?user=bob") as bob:
                await bob.receive_json()
                await ada.receive_json()
            assert "bob" in documents.connections["paper"]
            async with client.websocket_connect("/paper?user=carol") as carol:
                await carol.receive_json()  # the room was told of her, and bob's mailbox failed
                await ada.receive_json()
                await ada.send_json({"insert": "x", "at": 0})
                assert (await carol.receive_json())["version"] == 1
                assert list(documents.connections["paper"]) == ["ada", "carol"]
