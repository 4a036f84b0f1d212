"""The demo: one page, and the sockets behind its four tabs, on one port.

longwire serve examples.demo.app:app
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TypedDict

from starlette.applications import Starlette

from examples.demo.chat import chat
from examples.demo.dashboard import dashboard
from examples.demo.editor import DOCUMENT, editor, open_documents
from examples.demo.inspector import commands, echo
from examples.demo.pages import pages
from longwire import Hub, WebSocketRoute
from longwire.documents import Documents
from longwire.hub import RoomOptions
from longwire.toolkit import MessageRate

HOUR = 3600.0
MAX_SIZE = 16 * 1024

ROOMS = {
    "chat": RoomOptions(history_size=100, history_seconds=HOUR),
    "typing": RoomOptions(history_size=0, presence=False),  # old news at once
    "document": RoomOptions(history_seconds=60.0, presence=False),
}


class State(TypedDict):
    hub: Hub
    documents: Documents


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Make what the sockets share; they find it in `websocket.state`."""
    async with Hub(rooms=ROOMS) as hub, open_documents(hub) as documents:
        yield {"hub": hub, "documents": documents}


app = Starlette(
    lifespan=lifespan,
    routes=[
        *pages,
        WebSocketRoute("/ws/chat", chat, max_size=MAX_SIZE, guards=[MessageRate(200, per=10)]),
        WebSocketRoute("/ws/dashboard", dashboard, max_size=MAX_SIZE),
        WebSocketRoute(f"/ws/documents/{DOCUMENT}", editor),
        WebSocketRoute("/ws/echo", echo, max_size=MAX_SIZE),
        WebSocketRoute("/ws/commands", commands, max_size=MAX_SIZE),
    ],
)
