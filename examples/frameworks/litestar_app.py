"""Litestar: websocket_app() as an ASGI handler.

longwire serve examples.frameworks.litestar_app:app
"""

from __future__ import annotations

from pathlib import Path

from litestar import Litestar, MediaType, asgi, get

from longwire import WebSocket, WebSocketDisconnect, websocket_app
from longwire.toolkit import Token, from_header, from_query, one_of

token = Token(one_of(ada="token-of-ada", bob="token-of-bob"), from_header(), from_query())


@get("/", media_type=MediaType.HTML, sync_to_thread=False)
def page() -> str:
    return Path(__file__).with_name("page.html").read_text("utf-8")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    room = websocket.path_params["room"]
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(f"{websocket.user} in {room}: {text}")
    except WebSocketDisconnect as error:
        print(f"{websocket.user} left {room} with {error.code} {error.reason!r}")


# In a copy of the scope the token would be hidden from nobody: the server logs its own.
sockets = asgi("/ws/{room:str}", copy_scope=False)(websocket_app(talk, guards=[token]))

app = Litestar(route_handlers=[page, sockets])
