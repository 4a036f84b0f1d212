"""The demo's socket: one connection is one person in one room.

client  {"type": "join", "name": ..., "room": ...}   first, then
        {"type": "say", "text": ...}
server  {"type": "joined" | "left", "name": ..., "people": [...]}
        {"type": "said", "name": ..., "text": ..., "at": milliseconds}
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

from examples.rooms import Rooms
from longwire.asgi import Receive, Scope, Send

MAX_NAME = 24
MAX_ROOM = 24
MAX_TEXT = 2000
JOIN_TIMEOUT = 10.0
"""Seconds a connection may stay without saying who it is."""

BAD_MESSAGE = 1003
NOT_JOINED = 1008

rooms = Rooms()
people: defaultdict[str, list[str]] = defaultdict(list)


class BadMessage(Exception):
    """What the client sent is not what it may send now."""


async def serve_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    if scope["path"] != "/ws" or not is_same_origin(scope):
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    try:
        async with asyncio.timeout(JOIN_TIMEOUT):
            message = await next_message(receive)
        if message is None:
            return
        name = field(message, "join", "name", MAX_NAME)
        room = field(message, "join", "room", MAX_ROOM)
        await take_part(room, name, receive, send)
    except TimeoutError:
        await send({"type": "websocket.close", "code": NOT_JOINED, "reason": "say who you are"})
    except BadMessage as error:
        await send({"type": "websocket.close", "code": BAD_MESSAGE, "reason": str(error)})


async def take_part(room: str, name: str, receive: Receive, send: Send) -> None:
    name = free_name(room, name)
    async with rooms.joined(room, send) as member:
        people[room].append(name)
        member.post(json.dumps({"type": "you", "name": name}))
        announce(room, "joined", name)
        try:
            while (message := await next_message(receive)) is not None:
                text = field(message, "say", "text", MAX_TEXT)
                said = {"type": "said", "name": name, "text": text, "at": time.time_ns() // 10**6}
                rooms.publish(room, json.dumps(said))
        finally:
            people[room].remove(name)
            announce(room, "left", name)
            if not people[room]:
                del people[room]


def free_name(room: str, name: str) -> str:
    """Return the name, with a number if somebody in the room has it already."""
    taken = people.get(room, [])
    candidates = (name, *(f"{name} {number}" for number in range(2, len(taken) + 2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def announce(room: str, kind: str, name: str) -> None:
    rooms.publish(room, json.dumps({"type": kind, "name": name, "people": sorted(people[room])}))


async def next_message(receive: Receive) -> dict[str, Any] | None:
    """Return the next message, None at the end of the connection; BadMessage if it is no object."""
    event = await receive()
    if event["type"] == "websocket.disconnect":
        return None
    try:
        message = json.loads(event.get("text") or "")
    except ValueError:
        raise BadMessage("a message is a JSON object") from None
    if not isinstance(message, dict):
        raise BadMessage("a message is a JSON object")
    return message


def field(message: dict[str, Any], kind: str, name: str, limit: int) -> str:
    """Return a text of the message, without blanks around it; BadMessage if it is not right."""
    value = message.get(name)
    if message.get("type") != kind or not isinstance(value, str):
        raise BadMessage(f"expected a {kind!r} with {name!r}")
    if not 0 < len(value.strip()) <= limit:
        raise BadMessage(f"{name!r} is 1 to {limit} characters")
    return value.strip()


def is_same_origin(scope: Scope) -> bool:
    """Return whether the page that opens the socket came from this host, or is no page at all.

    Browsers let any page open a socket anywhere, with the user's cookies: they only say from where.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:
        return True  # not a browser
    try:
        return bool(urlsplit(origin.decode("ascii")).netloc.encode() == headers.get(b"host"))
    except ValueError:
        return False
