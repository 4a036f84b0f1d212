"""What the documents' blocks use and do not define, in the simplest form that can be tested."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect

from longwire import WebSocket
from longwire.asgi import Receive, Scope, Send

SERVED_AT = "LONGWIRE_TEST_SERVED_AT"
"""The environment variable with the server that the documents' clients are to find."""


class websockets:
    """The client package, which finds the test's server where a document says localhost:8000."""

    @staticmethod
    def connect(url: str) -> connect:
        return connect(url.replace("ws://localhost:8000", os.environ[SERVED_AT]))


# ---- the rest of an ASGI application --------------------------------------------------------


async def handle_lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def handle_http(scope: Scope, receive: Receive, send: Send) -> None:
    await read_body(receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"over HTTP"})


async def read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body", False):
            return bytes(body)


# ---- users, subprotocols, documents ---------------------------------------------------------


@dataclass(frozen=True)
class User:
    username: str


processed: list[tuple[str, Any]] = []
"""What process_user_message() was given: whose message, and which."""


def authenticate_token(token: str) -> User | None:
    return {"abc": User("ada"), "xyz": User("bob")}.get(token)


async def process_user_message(user: User, message: Any) -> None:
    processed.append((user.username, message))


def get_active_users() -> list[str]:
    return ["ada", "bob"]


async def handle_notification_protocol(websocket: WebSocket) -> None:
    await websocket.send_text("[NOTIFICATION] you are connected")


async def handle_default_protocol(websocket: WebSocket) -> None:
    async for message in websocket.iter_text():
        await websocket.send_text(message)


def apply_operation(content: str, operation: dict[str, Any]) -> str:
    """Insert a text at a position."""
    position = operation["at"]
    return str(content[:position] + operation["insert"] + content[position:])
