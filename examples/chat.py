"""A chat with rooms: ws://localhost:8000/?room=general

longwire serve examples.chat:app
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from examples.rooms import Rooms
from longwire.asgi import Receive, Scope, Send

rooms = Rooms()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "websocket"
    # parse_qs unquotes, and keeps repeated keys apart: splitting at & and = does neither.
    room = parse_qs(scope["query_string"].decode("latin-1")).get("room", ["general"])[0]
    await receive()
    await send({"type": "websocket.accept"})
    say(room, {"type": "system", "message": f"A user joined #{room}"})
    try:
        async with rooms.joined(room, send):
            while (event := await receive())["type"] == "websocket.receive":
                say(room, {"type": "message", "text": text_of(event.get("text")), "room": room})
    finally:
        # Here, not in an except for some kinds of ending: this runs for all of them.
        say(room, {"type": "system", "message": f"A user left #{room}"})


def say(room: str, message: dict[str, str]) -> None:
    rooms.publish(room, json.dumps(message))


def text_of(received: str | None) -> str:
    """Return the text of {"text": ...}, or what was received if it is no such object."""
    try:
        data = json.loads(received or "")
    except ValueError:
        return received or ""
    return str(data["text"]) if isinstance(data, dict) and "text" in data else received or ""
