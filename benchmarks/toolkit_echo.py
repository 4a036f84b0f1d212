"""The echo through the toolkit's WebSocket, as an application author writes it."""

from __future__ import annotations

from longwire import WebSocket, websocket_app


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())


app = websocket_app(echo)
