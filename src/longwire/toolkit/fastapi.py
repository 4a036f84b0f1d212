"""Longwire's WebSocket in FastAPI: `from longwire.toolkit.fastapi import WebSocket`.

FastAPI hands its endpoints starlette's class, whatever the annotation says. This annotation is a
dependency that makes ours of it, so that only the import line changes:

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket):
        await websocket.accept()
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from longwire.toolkit import websocket as toolkit
from longwire.toolkit.disconnect import WebSocketDisconnect
from longwire.toolkit.guards.origins import AllowedOrigins
from longwire.toolkit.reading import cancel_safe

__all__ = ["WebSocket", "WebSocketDisconnect", "same_origin"]

same_origin = AllowedOrigins()
"""For `dependencies=[Depends(same_origin)]`: FastAPI's own routes let every origin in."""


def _ours(connection: HTTPConnection) -> toolkit.WebSocket:
    theirs: Any = connection
    theirs._receive = cancel_safe(theirs._receive)
    # Looked up at each call: a guard that comes later may put its own in place.
    return toolkit.WebSocket(theirs.scope, lambda: theirs._receive(), theirs._send)


WebSocket = Annotated[toolkit.WebSocket, Depends(_ours)]
