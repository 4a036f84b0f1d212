"""Answer in binary: bytes as they are, text as UTF-8.

longwire serve examples.binary_echo:app
"""

from __future__ import annotations

from longwire.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        data = event.get("bytes")
        if data is None:
            data = event["text"].encode()
        await send({"type": "websocket.send", "bytes": data})
