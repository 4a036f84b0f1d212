"""The joint between a hub and the processes and machines beside it.

    hub --publish, signal, enter, exit--> broker --on_event--> the hub of every node in the room

A node is one hub: a process, as a rule. Brokers for other systems implement Broker, and Presence
if they can; tests/contracts/test_broker*.py are the suite that holds them to what is said here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from longwire.hub.events import Client, Draft, History, Position, RoomEvent, Signal


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a room's past is kept: the latest `size` publications, for `seconds` at most.

    Size 0 keeps nothing: the room has no positions, and what is lost is lost.
    """

    size: int
    seconds: float


class Node(Protocol):
    """A hub, as its broker sees it. Nothing here waits, and nothing raises."""

    @property
    def id(self) -> str:
        """A name that no other node has, nor this process when it is started again."""

    def on_event(self, event: RoomEvent) -> None:
        """Take what happened in a room that this node has subscribed to."""

    def on_lost(self, error: str) -> None:
        """Note that the broker does not answer; it is tried again with back-off and jitter."""

    def on_restored(self) -> None:
        """Note that it answers again, and that all subscriptions are in force again.

        Events may have been lost, and this node may have been taken for dead: it reads the history
        of its rooms, and enters them again.
        """


class Broker(Protocol):
    """Carries events between nodes.

    - Order: all nodes get the publications of one room in the same order, that of their offsets.
      Signals of one node stay in order with its own publications.
    - A publication is in the history before, or as, it is delivered: never delivered and not kept.
      It may be delivered twice, or be lost on the way to a node; by `previous` the node sees both.
    - Each method raises BrokerError if the broker does not answer in time, or refuses. A publish
      that raised may have happened, once at most; it is tried again while there is time.
    - What comes from outside is checked: a malformed event is dropped, with a line in the log.
    """

    async def open(self, node: Node) -> None:
        """Connect, and from then on reconnect; BrokerError if there is nobody now."""

    async def close(self) -> None:
        """Let go of the connection, and of the node's presence. Idempotent."""

    async def publish(self, room: str, draft: Draft, window: Window) -> Position | None:
        """Deliver to all nodes in the room, and keep it in the history, in one step.

        Return its position; None without history.
        """

    async def signal(self, event: Signal) -> None:
        """Deliver to all nodes in the room, and keep nothing."""

    async def subscribe(self, room: str, window: Window) -> Position | None:
        """Have the room's events delivered to this node from now on.

        Return where the room stands: what is published after that position is delivered. None
        without history. A room where nothing was published has a position too, with offset 0.
        """

    async def unsubscribe(self, room: str) -> None:
        """End that. Harmless if it is not subscribed."""

    async def history(
        self, room: str, window: Window, since: Position | None = None, limit: int | None = None
    ) -> History:
        """Return what was published after `since`, the oldest `limit` of it; or, without `since`,
        the latest `limit`.

        A position of another epoch, or one ahead of the room, is a gap before everything that there
        is: `is_whole` is False, and the publications are those of the whole window.
        """


@runtime_checkable
class Presence(Protocol):
    """The ability to tell who is in a room, on whatever node.

    A node that dies is in no room any more after three heartbeats at most, and the others are told
    so by a Leave for each of its clients, one for each, delivered in every room.
    """

    async def enter(self, room: str, client: Client) -> None:
        """Note that a client of this node is in the room, and deliver a Join if it was not."""

    async def exit(self, room: str, client: Client) -> None:
        """Note that it is not, and deliver a Leave if it was."""

    async def present(self, room: str) -> list[Client]:
        """Return who is in the room, in no order."""
