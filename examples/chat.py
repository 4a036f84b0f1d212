"""A chat with rooms, in which nobody waits for a slow reader: ws://localhost:8000/?room=general

longwire serve examples.chat:app
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, quote

from longwire import Hub
from longwire.asgi import Receive, Scope, Send
from longwire.errors import InvalidRoom
from longwire.hub import RoomOptions

hub = Hub(room=RoomOptions(history_size=0, presence=False))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "websocket"
    # parse_qs unquotes, and keeps repeated keys apart: splitting at & and = does neither.
    room = parse_qs(scope["query_string"].decode("latin-1")).get("room", ["general"])[0]
    await receive()
    await send({"type": "websocket.accept"})
    try:
        await take_part(room, scope, receive, send)
    except InvalidRoom as error:
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})


async def take_part(room: str, scope: Scope, receive: Receive, send: Send) -> None:
    name = quote(room)  # what a hub's room is called has no blanks
    await hub.publish(name, {"type": "system", "message": f"A user joined #{room}"})
    try:
        async with hub.connect(send, scope=scope) as member:
            await member.join(name)
            while (event := await receive())["type"] == "websocket.receive":
                text = text_of(event.get("text"))
                await hub.publish(name, {"type": "message", "text": text, "room": room})
    finally:
        # Here, not in an except for some kinds of ending: this runs for all of them.
        await hub.publish(name, {"type": "system", "message": f"A user left #{room}"})


def text_of(received: str | None) -> str:
    """Return the text of {"text": ...}, or what was received if it is no such object."""
    try:
        data = json.loads(received or "")
    except ValueError:
        return received or ""
    return str(data["text"]) if isinstance(data, dict) and "text" in data else received or ""
