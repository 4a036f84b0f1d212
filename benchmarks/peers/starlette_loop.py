"""The loop over send_text() that the tutorials show."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

connected: list[WebSocket] = []


async def fanout(websocket: WebSocket) -> None:
    await websocket.accept()
    connected.append(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for peer in list(connected):
                await peer.send_text(text)
    except WebSocketDisconnect:
        connected.remove(websocket)


app = Starlette(routes=[WebSocketRoute("/", fanout)])
