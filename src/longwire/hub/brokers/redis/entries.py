"""What is written to a room's channel, and kept in its history.

17:k3x9 1732190000000 5f2c1a\\n<envelope>     position, milliseconds, the message's id
\\n<envelope>                                  signals, and rooms without history
"""

from __future__ import annotations

from longwire.hub.brokers.envelope import InvalidEnvelope, decode
from longwire.hub.events import History, Position, Publication, RoomEvent

MAX_HEAD = 200
"""Bytes of a position, a time and an id."""


def read_entry(room: str, entry: bytes) -> RoomEvent:
    """Return the event; InvalidEnvelope if it is none."""
    if entry[:1] == b"\n":
        return decode(room, entry[1:])
    end = entry.find(b"\n", 0, MAX_HEAD)
    if end < 0:
        raise InvalidEnvelope("no position")
    try:
        position = Position.parse(entry[:end].decode("ascii").partition(" ")[0])
    except ValueError:
        raise InvalidEnvelope("a position that is none") from None
    # Offsets are dense here: the one before is the one before.
    return decode(room, entry[end + 1 :], position, max(position.offset - 1, 0))


def read_publication(room: str, entry: bytes) -> Publication:
    """Return what a history holds; InvalidEnvelope if it is something else."""
    event = read_entry(room, entry)
    if not isinstance(event, Publication) or event.position is None:
        raise InvalidEnvelope("no publication with a position")
    return event


def select(
    publications: list[Publication], top: Position, since: Position | None, limit: int | None
) -> History:
    """Return what Broker.history() promises, out of a history that a stranger has written to."""
    by_offset = {
        p.position.offset: p
        for p in publications
        if p.position is not None and p.position.epoch == top.epoch
    }
    ours = [by_offset[offset] for offset in sorted(by_offset) if 0 < offset <= top.offset]
    if since is None:
        return History(ours[max(0, len(ours) - limit) :] if limit is not None else ours, top)
    if since.epoch != top.epoch or since.offset > top.offset:
        return History(ours[:limit], top, is_whole=False)
    missed = [p for p in ours if p.position is not None and p.position.offset > since.offset]
    return History(missed[:limit], top, is_whole=len(missed) == top.offset - since.offset)
