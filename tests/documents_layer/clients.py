"""Editors for tests: one that speaks Yjs with a pycrdt document, one that speaks JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import pycrdt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from longwire.documents.sync import (
    AwarenessEntry,
    AwarenessUpdate,
    PermissionDenied,
    SyncMessage,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    decode_state,
    encode,
    encode_state,
)

PATIENCE = 8.0


class YjsClient:
    """A y-websocket client in Python: connected, it follows its document; `heard` is all it got."""

    def __init__(self, url: str, doc: pycrdt.Doc[Any] | None = None) -> None:
        self.url = url
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc() if doc is None else doc
        self.text: pycrdt.Text = self.doc.get("text", type=pycrdt.Text)
        self.heard: list[SyncMessage] = []
        self.users: dict[int, str | None] = {}
        self.is_synced = asyncio.Event()
        self.is_denied = False
        self.ended: asyncio.Future[tuple[int, str]] | None = None
        self._changed = asyncio.Event()
        self._websocket: ClientConnection | None = None
        self._listener: asyncio.Task[None] | None = None
        self._waiting: list[bytes] = []
        self._subscription = self.doc.observe(self._on_change)
        self._is_applying = False

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()
        self.doc.unobserve(self._subscription)

    async def connect(self) -> None:
        """Connect, and ask for what is there."""
        self.is_synced.clear()
        self._websocket = await connect(self.url, max_size=None, compression=None)
        self.ended = asyncio.get_running_loop().create_future()
        self._listener = asyncio.create_task(self._listen(self._websocket, self.ended))
        await self.send(encode(SyncStep1(decode_state(self.doc.get_state()))))

    async def disconnect(self) -> None:
        """Close the connection."""
        if self._websocket is not None:
            await self._websocket.close()
            assert self._listener is not None
            await self._listener
            self._websocket = None

    async def synced(self) -> Self:
        """Wait until what the server has is here."""
        await self.until(self.is_synced.is_set)
        return self

    async def send(self, data: bytes | str) -> None:
        assert self._websocket is not None
        with contextlib.suppress(ConnectionClosed):
            await self._websocket.send(data)

    async def edit(self, at: int, insert: str = "", delete: int = 0) -> None:
        """Change the text, at a place in UTF-8, and send that if connected."""
        with self.doc.transaction():
            if delete:
                del self.text[at : at + delete]
            if insert:
                self.text.insert(at, insert)
        waiting, self._waiting = self._waiting, []
        if self._websocket is not None:
            for update in waiting:
                await self.send(encode(Update(update)))

    def hear(self, update: bytes) -> None:
        """Apply an update of somebody else."""
        self._is_applying = True
        try:
            self.doc.apply_update(update)
        finally:
            self._is_applying = False

    async def say(self, client: int, clock: int, state: str | None) -> None:
        await self.send(encode(AwarenessUpdate((AwarenessEntry(client, clock, state),))))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something has come that makes it true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert self.ended is not None
                assert not self.ended.done(), f"the connection has ended: {self.ended}"
                self._changed.clear()
                await self._changed.wait()

    async def until_text(self, text: str) -> None:
        try:
            await self.until(lambda: str(self.text) == text)
        except TimeoutError:
            raise AssertionError(f"{str(self.text)!r} did not become {text!r}") from None

    async def close_frame(self) -> tuple[int, str]:
        """Wait until the server closes; return code and reason."""
        assert self.ended is not None
        return await asyncio.wait_for(self.ended, PATIENCE)

    def _on_change(self, event: pycrdt.TransactionEvent) -> None:
        if not self._is_applying:
            self._waiting.append(event.update)

    async def _listen(
        self, websocket: ClientConnection, ended: asyncio.Future[tuple[int, str]]
    ) -> None:
        try:
            while True:
                data = await websocket.recv()
                assert isinstance(data, bytes)
                await self._take(decode(data))
                self._changed.set()
        except ConnectionClosed as error:
            received = error.rcvd
            ended.set_result((received.code, received.reason) if received else (1006, ""))
        except BaseException as error:
            ended.set_exception(error)
            raise
        finally:
            self._changed.set()

    async def _take(self, message: SyncMessage) -> None:
        self.heard.append(message)
        match message:
            case SyncStep1(state):
                await self.send(encode(SyncStep2(self.doc.get_update(encode_state(state)))))
            case SyncStep2(update) | Update(update):
                self.hear(update)
                if isinstance(message, SyncStep2):
                    self.is_synced.set()
            case AwarenessUpdate(entries):
                self.users.update((entry.client, entry.state) for entry in entries)
            case PermissionDenied():
                self.is_denied = True
            case _:
                pass


class JSONClient:
    """An editor in JSON that does what the server says, and keeps no copy ahead of it."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self.content = ""
        self.version = 0
        self.heard: list[dict[str, Any]] = []

    async def receive(self, kind: str | None = None) -> dict[str, Any]:
        """Return the next message, or the next of a kind; all are followed."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = json.loads(await self._websocket.recv())
                self._follow(message)
                if kind is None or message["type"] == kind:
                    return dict(message)

    async def edit(self, operation: Any, version: Any = None) -> None:
        value = {
            "type": "edit",
            "operation": operation,
            "version": self.version if version is None else version,
        }
        await self._websocket.send(json.dumps(value))

    async def until_content(self, content: str) -> None:
        while self.content != content:
            await self.receive()

    async def close_frame(self) -> tuple[int, str]:
        async with asyncio.timeout(PATIENCE):
            await self._websocket.wait_closed()
        return self._websocket.close_code or 1006, self._websocket.close_reason or ""

    async def send(self, data: str | bytes) -> None:
        await self._websocket.send(data)

    def _follow(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        if message["type"] == "document_state":
            self.content, self.version = message["content"], message["version"]
        elif message["type"] == "document_change":
            self._apply(message["operation"])
            self.version += 1
            assert message["version"] == self.version
        elif message["type"] == "edit_accepted":
            for operation in message["operations"]:
                self._apply(operation)
                self.version += 1
            assert message["version"] == self.version

    def _apply(self, operation: dict[str, Any]) -> None:
        """As JavaScript would: in UTF-16 units."""
        units = self.content.encode("utf-16-le")
        at, end = 2 * operation["at"], 2 * (operation["at"] + operation.get("delete", 0))
        assert end <= len(units)
        middle = operation.get("insert", "").encode("utf-16-le")
        self.content = (units[:at] + middle + units[end:]).decode("utf-16-le")


@contextlib.asynccontextmanager
async def json_client(url: str) -> AsyncIterator[JSONClient]:
    """Connect an editor in JSON, and wait for the document."""
    async with connect(url, max_size=None, compression=None) as websocket:
        client = JSONClient(websocket)
        await client.receive("document_state")
        yield client
