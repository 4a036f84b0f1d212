"""The documents of one process: opened when somebody comes, unloaded when nobody is left."""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self
from urllib.parse import quote

from starlette.websockets import WebSocketState

from longwire.asgi import ASGIApp
from longwire.documents.document import Document
from longwire.documents.editor import Editor, code_of, reason_of
from longwire.documents.json_editor import JSONEditor
from longwire.documents.nodes import Nodes
from longwire.documents.options import (
    EDITOR_MESSAGES,
    MAX_NAME,
    MIB,
    DocumentOptions,
    Form,
    Role,
)
from longwire.documents.stores import MemoryStore, Store
from longwire.documents.yjs_editor import YjsEditor
from longwire.errors import (
    DocumentError,
    DocumentsClosed,
    HubClosed,
    HubError,
    InvalidName,
    StoreError,
    TooManyDocuments,
)
from longwire.hub import Hub, OutboxOptions, Overflow, RoomOptions
from longwire.toolkit import Guard, WebSocket, refuse, websocket_app

TICK = 5.0
"""Seconds between two looks at all documents: who has gone, what is idle."""

PREFIX = "document"
ROOM = RoomOptions(history_size=100, history_seconds=60.0, presence=False)
"""The rooms of documents in a hub of their own: a short history, so that a loss is noticed."""

EDITORS: dict[str, type[Editor]] = {"yjs": YjsEditor, "json": JSONEditor}

Authorize = Callable[[WebSocket, str], "Awaitable[Role | None] | Role | None"]
"""Says what the client of a handshake may do in the document of that name: None is nothing."""


class Documents:
    """The open documents of this process: one for each process, on one event loop.

    `store` keeps them; without one they are kept in memory. `hub` carries them between nodes;
    without one they have their own, with the broker that LONGWIRE_BROKER names. `text` is the name
    of the root text that JSON clients edit: what Yjs' clients get with `doc.getText(text)`.
    `async with documents:` in a lifespan writes what waits at the end, and closes the store.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        hub: Hub | None = None,
        options: DocumentOptions | None = None,
        text: str = "text",
    ) -> None:
        self.options = options or DocumentOptions()
        self._store: Store = store or MemoryStore()
        self._own_hub = Hub(room=ROOM) if hub is None else None
        self._hub: Hub = hub or self._own_hub  # type: ignore[assignment]
        self._text = text
        self._id = secrets.token_bytes(8)
        self._open: dict[str, tuple[Document, Nodes, asyncio.Task[None]]] = {}
        self._editors: set[Editor] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._is_closed = False
        # The whole document may wait for an editor, and then what happens meanwhile.
        self._outbox = OutboxOptions(
            EDITOR_MESSAGES, self.options.max_document + MIB, Overflow.DISCONNECT
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Send all editors away with 1012, write what waits, and close the store. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        gone = DocumentsClosed("the server goes away")
        for editor in list(self._editors):
            editor.member.close_soon(code_of(gone), reason_of(gone))
        for name in list(self._open):
            self._unload(name)
        if self._closing:
            await asyncio.wait(self._closing)
        if self._own_hub is not None:
            await self._own_hub.close()
        await self._store.close()

    def __len__(self) -> int:
        """Return how many documents are open."""
        return len(self._open)

    # ---- editors ----------------------------------------------------------------------------

    async def serve(
        self,
        websocket: Any,
        name: str,
        *,
        role: Role = "write",
        form: Form = "yjs",
        user: str | None = None,
    ) -> None:
        """Serve a WebSocket that edits a document, to its end; accepts it if that is still to do.

        `role` "read" lets it see the document and be seen. `form` is what it speaks. `user` is told
        to editors in JSON; those of Yjs say in their awareness who they are. What goes wrong closes
        the connection with a code and a reason (docs/documents.md), and raises nothing.
        """
        if role not in ("write", "read") or form not in EDITORS:
            raise ValueError(f'a role is "write" or "read", a form "yjs" or "json"; got {role!r}, '
                             f"{form!r}")  # fmt: skip
        if websocket.application_state is WebSocketState.CONNECTING:
            await websocket.accept()
        try:
            document = await self._hold(name)
        except DocumentError as error:
            await websocket.close(code_of(error), reason_of(error))
            return
        try:
            async with self._hub.connect(websocket, outbox=self._outbox) as member:
                editor = EDITORS[form](document, member, role, user)
                self._editors.add(editor)
                try:
                    await editor.run(websocket)
                finally:
                    self._editors.discard(editor)
        except HubClosed:
            await websocket.close(code_of(DocumentsClosed()), "the server goes away")
        except HubError as error:  # there was no broker yet
            await websocket.close(code_of(StoreError()), reason_of(error))
        finally:
            document.holds -= 1
            document.idle_since = time.monotonic()

    def endpoint(
        self,
        authorize: Authorize | None = None,
        *,
        form: Form = "yjs",
        origins: Iterable[str] = (),
        guards: Iterable[Guard] = (),
    ) -> ASGIApp:
        """Return an ASGI application that serves the documents; the path is the document's name.

        `authorize(websocket, name)` returns the role, or None to refuse with 403; it may be a
        coroutine function, and may raise what guards raise. Without it everybody may write.
        `origins` and `guards` are those of longwire.WebSocketRoute.
        """

        async def edit(websocket: WebSocket) -> None:
            name = _name_in(websocket)
            role: Role | None = "write"
            if authorize is not None:
                answer = authorize(websocket, name)
                role = await answer if inspect.isawaitable(answer) else answer
            if role is None:
                await refuse(websocket, 403, "this document is not for you")
            await self.serve(websocket, name, role=role, form=form)

        return websocket_app(edit, origins=origins, guards=guards)

    async def read(self, name: str) -> str:
        """Return the text of a document as it is stored. Raises InvalidName, StoreError."""
        document = await self._hold(name)
        try:
            return await document.read(document.content)
        finally:
            document.holds -= 1
            document.idle_since = time.monotonic()

    # ---- documents --------------------------------------------------------------------------

    async def _hold(self, name: str) -> Document:
        """Return the document, loaded, and staying so until `holds` is taken back."""
        room = f"{PREFIX}:{check_name(name)}"
        if self._is_closed:
            raise DocumentsClosed("the server goes away")
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        opened = self._open.get(name)
        if opened is not None and opened[0].failure is not None:
            self._unload(name)
            opened = None
        if opened is None:
            self._make_room()
            document = Document(name, self._store, self.options, self._text)
            nodes = Nodes(self._hub, room, self._id, document)
            loading = asyncio.create_task(self._load(document, nodes))
            opened = self._open[name] = document, nodes, loading
        document, _, loading = opened
        document.holds += 1
        try:
            await asyncio.shield(loading)
        except BaseException:
            document.holds -= 1
            raise
        return document

    def _make_room(self) -> None:
        """Unload the document that was idle longest if too many are open. TooManyDocuments."""
        if len(self._open) < self.options.max_open:
            return
        idle = [name for name, (document, _, _) in self._open.items() if document.is_idle]
        if not idle:
            raise TooManyDocuments(f"{len(self._open)} documents are open, and in use")
        self._unload(min(idle, key=lambda name: self._open[name][0].idle_since))

    async def _load(self, document: Document, nodes: Nodes) -> None:
        try:
            await document.load()
        except StoreError as error:
            document.give_up(error)
            raise
        nodes.start()

    def _unload(self, name: str) -> None:
        document, nodes, loading = self._open.pop(name)
        closing = asyncio.create_task(_close(document, nodes, loading))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _keep(self) -> None:
        """Look after all documents, for as long as there are any."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for editor in list(self._editors):
                if editor.document.failure is None:
                    editor.look_after(now)
            for name, (document, nodes, loading) in list(self._open.items()):
                if document.failure is not None:
                    self._unload(name)
                elif loading.done():
                    self._look_after(name, document, nodes, now)

    def _look_after(self, name: str, document: Document, nodes: Nodes, now: float) -> None:
        document.tell_awareness(document.awareness.expire(now))
        document.audience.keep_awake()
        nodes.compare_at_times(now, self.options.sync_every)
        if document.is_idle and now - document.idle_since >= self.options.unload_after:
            self._unload(name)


async def _close(document: Document, nodes: Nodes, loading: asyncio.Task[None]) -> None:
    if not loading.done():
        loading.cancel()
    await asyncio.wait([loading])
    await document.settle()
    await nodes.stop()
    await document.close()


def check_name(name: object) -> str:
    """Return a document's name as a part of a room's; InvalidName says what it should be."""
    if not isinstance(name, str) or not name:
        raise InvalidName(f"a document's name is a text of 1 or more characters; got {name!r:.80}")
    try:
        quoted = quote(name, safe="/")
    except UnicodeEncodeError:
        raise InvalidName("a document's name has no lone surrogates") from None
    if len(quoted) > MAX_NAME:
        raise InvalidName(f"a document's name has {MAX_NAME} bytes at most, percent-encoded")
    return quoted


def _name_in(websocket: WebSocket) -> str:
    """Return the path below where the application is mounted."""
    scope = websocket.scope
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    if root and path.startswith(root):
        path = path[len(root) :]
    return path.strip("/")
