"""What happens in a room, as values: publications, joins and leaves, and what went missing.

The form can carry Centrifuge's client protocol: a position is an offset and an epoch, a publication
has data, sender and position, a client has an id, a user and an info.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from longwire.errors import InvalidPosition

FORM = re.compile(r"(?P<offset>[0-9]{1,19}):(?P<epoch>[!-~]{1,64})", re.ASCII)
"""A position as text; the offset is one of 64 bits."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's history: what was published up to here is known.

    Offsets grow from publication to publication, and need not be dense. The epoch names the
    sequence that they belong to: a broker that lost its memory begins another one.
    """

    offset: int
    epoch: str

    def __str__(self) -> str:
        """Return the form for clients to keep and bring back, `offset:epoch`."""
        return f"{self.offset}:{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that str() wrote; InvalidPosition for what is none."""
        match = FORM.fullmatch(text)
        if match is None:
            raise InvalidPosition(f"a position is offset:epoch, as in 17:k3x9; got {text[:80]!r}")
        return cls(int(match["offset"]), match["epoch"])

    @classmethod
    def of(cls, since: Position | str | None) -> Position | None:
        """Return the position; InvalidPosition for what is none, of whatever type a client sent."""
        if since is None or isinstance(since, Position):
            return since
        if isinstance(since, str):
            return cls.parse(since)
        raise InvalidPosition(f"a position is a str, as in 17:k3x9; got {type(since).__name__}")


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody in a room: one connection; `info` is what it joined with, any JSON value."""

    id: str
    user: str | None = None
    info: Any = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message on its way to the broker: text is a str, binary is bytes."""

    data: str | bytes
    sender: Client | None = None
    key: str | None = None  # what it replaces in outboxes that keep the latest of each key
    exclude: str | None = None  # the id of the client that does not get it


@dataclass(frozen=True, slots=True)
class Publication:
    """A message in a room.

    `position` is None in rooms without history. `previous` is the offset of the publication before
    it, 0 for the first: whoever does not know that one has missed something.
    """

    room: str
    data: str | bytes
    sender: Client | None = None
    key: str | None = None
    exclude: str | None = None
    position: Position | None = None
    previous: int = 0


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody is in the room now."""

    room: str
    client: Client


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody has left the room, lost the connection, or was on a node that died."""

    room: str
    client: Client


@dataclass(frozen=True, slots=True)
class Disconnect:
    """All connections in this room are to be closed; it travels in a user's own room."""

    room: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Publications were lost between `since` and `position`, further back than the history."""

    room: str
    since: Position | None
    position: Position | None


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to a join: for the member itself, ahead of everything that the room sends it.

    `is_recovered` is True if all that was published after the position it asked for follows, and
    False if there is a gap; None if it asked for nothing. `position` is where what follows begins:
    the one that was asked for if it is recovered, so that whoever is cut off in the middle comes
    back with the last it has seen; else where the room stands. None without history.
    """

    room: str
    client: Client
    position: Position | None = None
    is_recovered: bool | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What a room's history has to say.

    `publications` are in order. `position` is the end of the history: with a `limit`, more may lie
    between. `is_whole` is False if something after the position asked for is no longer there; then
    `publications` has what is left.
    """

    publications: list[Publication]
    position: Position
    is_whole: bool = True


Signal = Join | Leave | Disconnect
"""What is sent to a room without becoming a part of its history."""

RoomEvent = Publication | Signal
"""What a broker carries."""

Event = Publication | Join | Leave | Gap | Joined
"""What members and subscribers of a room are told."""
