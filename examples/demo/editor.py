"""The editor: one document that everybody edits at once, over y-websocket's protocol, stored."""

from __future__ import annotations

import os
from pathlib import Path

from longwire import WebSocket
from longwire.documents import Documents, SqliteStore
from longwire.hub import Hub

DOCUMENT = "notes"

STORE = "DEMO_DOCUMENTS"
"""The environment variable with another place for the store."""


def open_documents(hub: Hub) -> Documents:
    """Return the documents of this process: `async with` writes what waits at the end."""
    path = Path(os.environ.get(STORE, ".artifacts/documents.sqlite"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return Documents(SqliteStore(path), hub=hub)


async def editor(websocket: WebSocket) -> None:
    documents: Documents = websocket.state.documents
    await documents.serve(websocket, DOCUMENT)
