"""Plain ASGI: a WebSocketRoute is an ASGI application by itself.

longwire serve examples.frameworks.asgi_app:app
"""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute
from longwire.asgi import Receive, Scope, Send
from longwire.toolkit import Token, from_header, from_query, one_of

token = Token(one_of(ada="token-of-ada", bob="token-of-bob"), from_header(), from_query())


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
    elif scope["type"] == "http" and scope["path"] == "/":
        page = FileResponse(Path(__file__).with_name("page.html"))
        await page(scope, receive, send)
    elif scope["type"] == "http":
        await PlainTextResponse("Not Found", 404)(scope, receive, send)
