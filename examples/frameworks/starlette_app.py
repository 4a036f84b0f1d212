"""Starlette: our WebSocketRoute among its routes.

longwire serve examples.frameworks.starlette_app:app
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute
from longwire.toolkit import Token, from_header, from_query, one_of

token = Token(one_of(ada="token-of-ada", bob="token-of-bob"), from_header(), from_query())


async def page(request: Request) -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html"))


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    room = websocket.path_params["room"]
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(f"{websocket.user} in {room}: {text}")
    except WebSocketDisconnect as error:
        print(f"{websocket.user} left {room} with {error.code} {error.reason!r}")


app = Starlette(
    routes=[
        Route("/", page),
        # Pages of other origins are refused by default; origins=[...] lists those that are not.
        WebSocketRoute("/ws/{room}", talk, guards=[token]),
    ]
)
