"""The subjects and streams: names of rooms, clients and nodes as tokens of NATS.

longwire.room.<room>          in the stream longwire_rooms: what is published, and kept
longwire.live.<room>          what the nodes in the room hear; the server copies both streams here
longwire.who.<room>.<client>  in the stream longwire_presence: the last word about each client
longwire.node.<node>          in the same: the last heartbeat of each node
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

MAX_TOKEN = 1024
"""Characters; a line of NATS has 4096 at most. A room's name, of 200 bytes, has 600."""


def token(name: str) -> str:
    """Return the name as one token, in ASCII, no two names the same.

    Bytes of UTF-8 other than letters, digits and `_-~:@` become %XX. What would be too long, the
    id of a client, becomes its SHA-256 behind `%%`, which no other name has.
    """
    text = quote(name, safe=":@").replace(".", "%2E")
    if len(text) <= MAX_TOKEN:
        return text
    return "%%" + hashlib.sha256(name.encode()).hexdigest()


class Subjects:
    """All names that begin with one prefix."""

    def __init__(self, prefix: str) -> None:
        self.rooms = f"{prefix}_rooms"
        self.presence = f"{prefix}_presence"
        self._prefix = prefix

    def room(self, room: str) -> str:
        return f"{self._prefix}.room.{token(room)}"

    def live(self, room: str) -> str:
        return f"{self._prefix}.live.{token(room)}"

    def client(self, room: str, client: str) -> str:
        return f"{self._prefix}.who.{token(room)}.{token(client)}"

    def clients(self, room: str) -> str:
        return f"{self._prefix}.who.{token(room)}.*"

    def node(self, node: str) -> str:
        return f"{self._prefix}.node.{token(node)}"

    @property
    def all_rooms(self) -> str:
        return f"{self._prefix}.room.*"

    @property
    def all_clients(self) -> str:
        return f"{self._prefix}.who.*.*"

    @property
    def all_nodes(self) -> str:
        return f"{self._prefix}.node.*"

    @property
    def all_live(self) -> str:
        """Where copies go: the first wildcard of the source is the room."""
        return f"{self._prefix}.live.{{{{wildcard(1)}}}}"
