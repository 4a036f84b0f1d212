"""An application that shows the toolkit's behaviour on whatever server runs it.

What a handler has seen is told as a line on stdout, `told ID JSON`, with the `id` of its path: the
server is another process, and its standard output is the one thing that all of them leave alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

from tests import pure

if os.environ.get(pure.PURE) == "1" and not pure.is_installed():
    pure.install()  # a worker that its server has spawned

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from longwire.toolkit import (
    Token,
    WebSocket,
    WebSocketDisconnect,
    WebSocketRoute,
    fastapi,
    from_query,
    one_of,
)

MESSAGES = 200
LOST_WITHIN = 10.0
"""Seconds in which receive() has to say that the client is lost: TCP's reset is there at once."""


def tell(websocket: WebSocket, **what: Any) -> None:
    print("told", websocket.path_params["id"], json.dumps(what), flush=True)


async def echo(websocket: WebSocket) -> None:
    """Text and binary messages as they are; text that is JSON is read and written as JSON."""
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.send_bytes(await websocket.receive_bytes())
    await websocket.send_json(await websocket.receive_json())
    await websocket.close(4001, "echoed")


async def listen(websocket: WebSocket) -> None:
    """Receive until the end, and tell how it came."""
    await websocket.accept()
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect as error:
        closure = await websocket.closed
        tell(websocket, code=error.code, reason=error.reason, by=closure.by.value)


async def talk(websocket: WebSocket) -> None:
    """Send until that fails, or has not failed for too long; then look at what receive says."""
    await websocket.accept()
    sent = None
    deadline = time.monotonic() + float(websocket.query_params["seconds"])
    while sent is None and time.monotonic() < deadline:
        try:
            await websocket.send_text("x" * 100)
            await asyncio.sleep(0.005)
        except WebSocketDisconnect as error:
            sent = error.code
    try:
        async with asyncio.timeout(LOST_WITHIN):
            await websocket.receive_text()
    except WebSocketDisconnect as error:
        tell(websocket, send=sent, receive=error.code)
    except TimeoutError:
        tell(websocket, send=sent, receive=None)


async def impatient(websocket: WebSocket) -> None:
    """Give each receive half a millisecond."""
    await websocket.accept()
    got: list[int] = []
    given_up = 0
    try:
        while len(got) < MESSAGES:
            try:
                got.append(await asyncio.wait_for(websocket.receive_json(), 0.0005))
            except TimeoutError:
                given_up += 1
    except WebSocketDisconnect:
        pass
    missing = sorted(set(range(MESSAGES)) - set(got))
    tell(websocket, missing=missing, in_order=got == sorted(got), given_up=given_up)
    await websocket.close(1000, "counted")


async def wait_for_end(websocket: WebSocket) -> None:
    """Await nothing but the end."""
    await websocket.accept()
    closure = await websocket.closed
    tell(websocket, code=closure.code, reason=closure.reason, by=closure.by.value)


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"hello {websocket.user}")
    await websocket.receive()


framework = FastAPI()


@framework.websocket("/impatient/{id}")
async def impatient_in_fastapi(websocket: fastapi.WebSocket) -> None:
    await impatient(websocket)


app = Starlette(
    routes=[
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/listen/{id}", listen),
        WebSocketRoute("/talk/{id}", talk),
        WebSocketRoute("/impatient/{id}", impatient),
        Mount("/fastapi", framework),
        WebSocketRoute("/closed/{id}", wait_for_end),
        WebSocketRoute("/subprotocol/{id}", wait_for_end, subprotocols=["chat.v2", "chat.v1"]),
        WebSocketRoute(
            "/private/{id}", greet, guards=[Token(one_of(ada="secret-of-ada"), from_query())]
        ),
    ]
)
