"""The bounds and policies of a hub, each with its reason; all nodes of a system share them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from longwire.hub.broker import Window

KIB = 1024
MIB = 1024 * KIB


class Overflow(Enum):
    """What becomes of a message for somebody who reads too slowly, once the outbox is full."""

    DROP_OLDEST = "drop oldest"  # what waits longest goes: cursors, telemetry
    DROP_NEWEST = "drop newest"  # the new message goes: what came first counts
    KEEP_LATEST = "keep latest"  # a message replaces the one with its key: prices
    DISCONNECT = "disconnect"  # close 1013; the client comes back with its position: chat


class OnGap(Enum):
    """What members are told once publications were lost that the history no longer has."""

    RESYNC = "resync"  # a Gap, then what the history still has
    MARK = "mark"  # a Gap, and then what comes
    CLOSE = "close"  # close 1013: the client comes back and loads afresh


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    """How much may wait for one member, in messages and bytes, and what happens beyond.

    Messages are shared between outboxes: what waits for many is in memory once. With KEEP_LATEST
    a key that is replaced all the time has a second message, so that it has its turn; it counts
    for `bytes`, and not for `messages`. Each key has its turn as long as `messages` is the number
    of keys or more, and `bytes` has room for two values of each.
    """

    messages: int = 256
    bytes: int = MIB
    overflow: Overflow = Overflow.DISCONNECT


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """How the rooms of one kind behave.

    History: the latest `history_size` publications, for `history_seconds`; 0 for none, and then
    there are no positions, either. Without `presence` nobody is told who joins and leaves.
    """

    history_size: int = 100
    history_seconds: float = 300.0
    presence: bool = True
    on_gap: OnGap = OnGap.RESYNC

    @property
    def window(self) -> Window:
        return Window(self.history_size, self.history_seconds)


USER_ROOM = RoomOptions(history_size=0, presence=False)
"""A user's own room: what is sent to one user is for the devices that are connected."""
