"""The names of what is kept in Redis. Rooms' names come last: whatever is in them, they stay apart.

Keys belong to a database, channels do not: theirs name it.
"""

from __future__ import annotations

from urllib.parse import quote

from longwire.hub.events import Client


class Keys:
    """The keys and channels under a prefix."""

    def __init__(self, prefix: str, database: int) -> None:
        self.rooms = f"{prefix}:room:"  # a hash each: epoch and offset
        self.histories = f"{prefix}:history:"  # a list each: the entries
        self.tables = f"{prefix}:present:"  # a hash each: client to node and Leave
        self.indexes = f"{prefix}:node:"  # a set each: a node's clients, by room
        self.nodes = f"{prefix}:nodes"  # a sorted set: until when each node lives
        self.channels = f"{prefix}:{database}:events:"

    def kept(self, room: str) -> tuple[str, str]:
        """Return the keys of a room's position and history."""
        return self.rooms + room, self.histories + room

    def table(self, room: str) -> str:
        return self.tables + room

    def channel(self, room: str) -> bytes:
        return (self.channels + room).encode()


def node_name(id: str) -> str:
    """Return a node's id as scripts have it: any str, without line feeds."""
    return quote(id, safe="")


def member(room: str, client: Client) -> str:
    """Return a client in a node's index; rooms' names have no line feeds."""
    return f"{room}\n{client.id}"
