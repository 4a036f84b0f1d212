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

from examples.rooms import Rooms
from longwire import WebSocket
from longwire.toolkit import InvalidJSON, UnexpectedMessage

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


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        async with asyncio.timeout(JOIN_TIMEOUT):
            message = await websocket.receive_json()
        name = field(message, "join", "name", MAX_NAME)
        room = field(message, "join", "room", MAX_ROOM)
        await take_part(room, name, websocket)
    except TimeoutError:
        await websocket.close(NOT_JOINED, "say who you are")
    except (BadMessage, InvalidJSON, UnexpectedMessage) as error:
        await websocket.close(BAD_MESSAGE, str(error))


async def take_part(room: str, name: str, websocket: WebSocket) -> None:
    name = free_name(room, name)
    async with rooms.joined(room, websocket.send) as member:
        people[room].append(name)
        member.post(json.dumps({"type": "you", "name": name}))
        announce(room, "joined", name)
        try:
            async for message in websocket.iter_json():
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


def field(message: Any, kind: str, name: str, limit: int) -> str:
    """Return a text of the message, without blanks around it; BadMessage if it is not right."""
    if not isinstance(message, dict):
        raise BadMessage("a message is a JSON object")
    value = message.get(name)
    if message.get("type") != kind or not isinstance(value, str):
        raise BadMessage(f"expected a {kind!r} with {name!r}")
    if not 0 < len(value.strip()) <= limit:
        raise BadMessage(f"{name!r} is 1 to {limit} characters")
    return value.strip()
