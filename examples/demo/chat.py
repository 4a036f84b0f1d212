"""The chat: rooms with names, who is there, what was said, and what was missed, on a hub.

client  {"type": "join", "name": ..., "room": ..., "me": ..., "since": position}   first, then
        {"type": "say", "text": ..., "ref": ...} and {"type": "typing"}
server  {"type": "history", "is_whole": ..., "count": ...}, with so many "said" behind it
        {"type": "you", "id": ..., "name": ..., "position": ...}
        {"type": "here", "people": [{"id": ..., "name": ...}, ...]}
        {"type": "said", "id": ..., "name": ..., "text": ..., "ref": ..., "at": milliseconds,
         "position": ...}
        {"type": "joined" | "left", "id": ..., "name": ...}, {"type": "typing", "name": ...}

Whoever comes back brings the last position it has seen as `since`, and gets what came behind it.
`me` is a secret of the page: whoever comes back with it, before the server has noticed that the
earlier connection is lost, keeps the name.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from longwire import Hub, WebSocket
from longwire.errors import InvalidPosition, InvalidRoom
from longwire.hub import Client, Event, Join, Joined, Leave, Publication
from longwire.toolkit import InvalidJSON, UnexpectedMessage

MAX_NAME = 24
MAX_ROOM = 24
MAX_KEY = 64
MAX_TEXT = 2000
EARLIER = 50
"""Messages that somebody new in a room is shown."""

JOIN_TIMEOUT = 10.0
"""Seconds a connection may stay without saying who it is."""

BAD_MESSAGE = 1003
NOT_JOINED = 1008


class BadMessage(Exception):
    """What the client sent is not what it may send now."""


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        async with asyncio.timeout(JOIN_TIMEOUT):
            hello = await websocket.receive_json()
        await take_part(websocket, hello)
    except TimeoutError:
        await websocket.close(NOT_JOINED, "say who you are")
    except (BadMessage, InvalidJSON, InvalidPosition, InvalidRoom, UnexpectedMessage) as error:
        await websocket.close(BAD_MESSAGE, str(error)[:120])


async def take_part(websocket: WebSocket, hello: Any) -> None:
    hub: Hub = websocket.state.hub
    name = field(hello, "join", "name", MAX_NAME)
    title = "-".join(field(hello, "join", "room", MAX_ROOM).split())
    me = field(hello, "join", "me", MAX_KEY) if "me" in hello else None
    since = field(hello, "join", "since", MAX_KEY) if "since" in hello else None
    room, typing = f"chat:{title}", f"typing:{title}"
    async with hub.connect(websocket, user=me, format=as_told) as member:
        name = free_name(name, me, await hub.presence(room))
        history = await hub.history(room, since=since, limit=None if since else EARLIER)
        count = len(history.publications)
        await member.send({"type": "history", "is_whole": history.is_whole, "count": count})
        for publication in history.publications:
            member.take(publication)
        await member.join(typing)
        await member.join(room, info=name, since=history.position)
        people = [{"id": there.id, "name": there.info} for there in await hub.presence(room)]
        await member.send({"type": "here", "people": people})
        async for message in websocket.iter_json():
            if isinstance(message, dict) and message.get("type") == "typing":
                await hub.publish(typing, name, exclude=member)
                continue
            text = field(message, "say", "text", MAX_TEXT)
            ref = field(message, "say", "ref", MAX_KEY)
            said = {"text": text, "ref": ref, "at": time.time_ns() // 10**6}
            await hub.publish(room, said, sender=member)


def as_told(event: Event) -> str | None:
    """Return what the page is told of an event; called once for all who are in the room."""
    match event:
        case Publication(room=room, data=data) if room.startswith("typing:"):
            told = {"type": "typing", "name": data}
        case Publication(data=data, sender=Client(id, _, name), position=position):
            told = {"type": "said", "id": id, "name": name, **json.loads(data)}
            told["position"] = str(position)
        case Joined(client=Client(id, _, str(name)), position=position):
            told = {"type": "you", "id": id, "name": name, "position": str(position)}
        case Join(client=Client(id, _, name)):
            told = {"type": "joined", "id": id, "name": name}
        case Leave(client=Client(id, _, name)):
            told = {"type": "left", "id": id, "name": name}
        case _:
            return None
    return json.dumps(told)


def free_name(name: str, me: str | None, people: list[Client]) -> str:
    """Return the name, with a number if somebody else in the room has it already."""
    taken = {there.info for there in people if me is None or there.user != me}
    candidates = (name, *(f"{name} {number}" for number in range(2, len(taken) + 2)))
    return next(candidate for candidate in candidates if candidate not in taken)


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
