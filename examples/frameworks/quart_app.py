"""Quart: our WebSocketRoute in front of its ASGI application, for websocket scopes.

longwire serve examples.frameworks.quart_app:app
"""

from __future__ import annotations

from pathlib import Path

from quart import Quart, Response, send_file

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute
from longwire.asgi import Receive, Scope, Send
from longwire.toolkit import Token, from_header, from_query, one_of

token = Token(one_of(ada="token-of-ada", bob="token-of-bob"), from_header(), from_query())

pages = Quart(__name__)


@pages.get("/")
async def page() -> Response:
    return await send_file(Path(__file__).with_name("page.html"))


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    room = websocket.path_params["room"]
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(f"{websocket.user} in {room}: {text}")
    except WebSocketDisconnect as error:
        print(f"{websocket.user} left {room} with {error.code} {error.reason!r}")


sockets = WebSocketRoute("/ws/{room}", talk, guards=[token])


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await sockets(scope, receive, send)
    else:
        await pages(scope, receive, send)  # type: ignore[arg-type]  # Quart has types of its own
