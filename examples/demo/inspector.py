"""The sockets that the inspector is for: one sends back what comes, one does what it is told.

client  {"do": "echo", "value": anything}, {"do": "close", "code": 4001, "reason": "as you like"}
server  {"value": anything}, {"error": ...}
"""

from __future__ import annotations

from longwire import WebSocket
from longwire.toolkit import InvalidJSON, UnexpectedMessage

BAD_MESSAGE = 1003


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while (event := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**event, "type": "websocket.send"})


async def commands(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        async for command in websocket.iter_json():
            match command:
                case {"do": "echo", "value": value}:
                    await websocket.send_json({"value": value})
                case {"do": "close", "code": int(code), "reason": str(reason)}:
                    await close(websocket, code, reason)
                case _:
                    await websocket.send_json({"error": "no command that is known here"})
    except (InvalidJSON, UnexpectedMessage) as error:
        await websocket.close(BAD_MESSAGE, str(error)[:120])


async def close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close with the code, or say why that cannot be (RFC 6455 section 7.4)."""
    try:
        await websocket.close(code, reason)
    except ValueError as error:
        await websocket.send_json({"error": str(error)})
