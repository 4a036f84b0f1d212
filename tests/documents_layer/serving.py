"""Documents on a real server, and what tests do to their store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from longwire.asgi import Receive, Scope, Send
from longwire.documents import Documents, MemoryStore, Role, Stored
from longwire.toolkit import WebSocket
from tests.documents_layer.clients import PATIENCE, YjsClient


class DocumentApp:
    """`/name` in Yjs' wire, `/json/name` in JSON; `?role=read` and `?user=ada`."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        path = websocket.url.path.strip("/")
        is_json = path.startswith("json/")
        query: Any = websocket.query_params
        role: Role = query.get("role", "write")
        await self.documents.serve(
            websocket,
            path.removeprefix("json/"),
            role=role,
            form="json" if is_json else "yjs",
            user=query.get("user"),
        )


class TroubledStore(MemoryStore):
    """A store that fails, hangs, or waits at a gate, when it is told to."""

    def __init__(self, *, is_shared: bool = False) -> None:
        super().__init__(is_shared=is_shared)
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.appended: list[bytes] = []
        self.appends = 0

    async def load(self, name: str) -> Stored:
        if self.error is not None:
            raise self.error
        return await super().load(name)

    async def append(self, name: str, updates: Sequence[bytes]) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.appends += 1
        self.appended += updates
        await super().append(name, updates)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the server has come that far, where no client can see it."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def edit_while_one_is_stored(
    documents: Documents, store: TroubledStore, clients: Sequence[YjsClient], text: str
) -> None:
    """Have all of them on "plan"; the others' texts wait while the first one's "x" is stored."""
    for client in clients:
        await client.connect()
        await client.synced()
    first, *others = clients
    document = documents._open["plan"][0]
    store.gate.clear()
    await first.edit(0, "x")
    await eventually(lambda: document._writer is not None and not document._changes)
    for client in others:
        await client.edit(0, text)
    await eventually(lambda: len(document._changes) == len(others))
    store.gate.set()
