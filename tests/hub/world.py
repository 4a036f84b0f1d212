"""A broker of one room that answers when it is told to, and the network before it, which loses.

Every call of the hub waits in `pending` until a test applies it, answers it, or lets it fail.
Calls are applied in the order in which they were made, as over one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from longwire.errors import BrokerError
from longwire.hub import (
    Client,
    Draft,
    Event,
    Gap,
    History,
    Join,
    Joined,
    Leave,
    Node,
    OnGap,
    Position,
    Publication,
    RoomEvent,
    Signal,
    Window,
)

ROOM = "lobby"


@dataclass(eq=False)
class Call:
    """Something that the hub has asked for."""

    kind: str
    effect: Callable[[], Any]
    answer: asyncio.Future[Any]
    is_applied: bool = False
    result: Any = None

    def apply(self) -> None:
        if not self.is_applied:
            self.is_applied = True
            self.result = self.effect()


@dataclass
class World:
    """What the broker knows of the room; `is_prompt` applies and answers at once."""

    window: int = 5
    is_prompt: bool = False
    epoch: int = 0
    offset: int = 0
    history_: list[Publication] = field(default_factory=list)
    in_flight: list[RoomEvent] = field(default_factory=list)
    present_: dict[str, Client] = field(default_factory=dict)
    is_subscribed: bool = False
    pending: list[Call] = field(default_factory=list)
    delivered: list[Publication] = field(default_factory=list)
    node: Node | None = None
    is_closed: bool = False

    @property
    def position(self) -> Position:
        return Position(self.offset, f"e{self.epoch}")

    # ---- what happens to it -------------------------------------------------------------------

    def publish_here(self, data: str = "x") -> Position:
        """Somebody on another node publishes."""
        previous = self.offset
        self.offset += 1
        publication = Publication(ROOM, data, None, None, None, self.position, previous)
        self.history_ = [*self.history_, publication][-self.window :]
        self._send(publication)
        return self.position

    def forget_everything(self) -> None:
        """The broker is started again without its memory."""
        self.epoch += 1
        self.offset = 0
        self.history_ = []

    def _send(self, event: RoomEvent) -> None:
        if self.is_subscribed:
            self.in_flight.append(event)

    def deliver(self) -> None:
        event = self.in_flight.pop(0)
        if isinstance(event, Publication):
            self.delivered.append(event)
        assert self.node is not None
        self.node.on_event(event)

    def deliver_again(self, index: int) -> None:
        assert self.node is not None
        self.node.on_event(self.delivered[index])

    def lose(self) -> None:
        self.in_flight.pop(0)

    def unapplied(self) -> Call | None:
        return next((call for call in self.pending if not call.is_applied), None)

    def fail(self, call: Call, is_applied: bool) -> None:
        """Let the call fail: it has happened nevertheless, or not."""
        if is_applied or call.kind == "unsubscribe":  # which a broker makes good at reconnection
            self._apply_up_to(call)
        call.is_applied = True
        if not call.answer.done():
            call.answer.set_exception(BrokerError("no answer"))

    def answer(self, call: Call) -> None:
        self._apply_up_to(call)
        if not call.answer.done():
            call.answer.set_result(call.result)

    def _apply_up_to(self, last: Call) -> None:
        for call in self.pending:
            call.apply()
            if call is last:
                return

    # ---- the contract -------------------------------------------------------------------------

    async def _call(self, kind: str, effect: Callable[[], Any]) -> Any:
        if self.is_prompt:
            return effect()
        call = Call(kind, effect, asyncio.get_running_loop().create_future())
        self.pending.append(call)
        try:
            return await call.answer
        finally:
            if call.answer.cancelled():
                self._apply_up_to(call)  # what was sent is on its way, whoever waits
            self.pending.remove(call)

    async def open(self, node: Node) -> None:
        self.node = node

    async def close(self) -> None:
        self.is_closed = True
        self.is_subscribed = False
        self.present_.clear()

    async def publish(self, room: str, draft: Draft, window: Window) -> Position | None:
        assert isinstance(draft.data, str)
        position: Position = await self._call("publish", lambda: self.publish_here("own"))
        return position

    async def signal(self, event: Signal) -> None:
        await self._call("signal", lambda: self._send(event))

    async def subscribe(self, room: str, window: Window) -> Position | None:
        def subscribe() -> Position:
            self.is_subscribed = True
            return self.position

        position: Position = await self._call("subscribe", subscribe)
        return position

    async def unsubscribe(self, room: str) -> None:
        def unsubscribe() -> None:
            self.is_subscribed = False

        await self._call("unsubscribe", unsubscribe)

    async def history(
        self, room: str, window: Window, since: Position | None = None, limit: int | None = None
    ) -> History:
        def read() -> History:
            top = self.position
            if since is None or since.epoch != top.epoch or since.offset > top.offset:
                return History(list(self.history_), top, since is None)
            first = top.offset - len(self.history_)
            missed = [
                publication
                for publication in self.history_
                if publication.position and publication.position.offset > since.offset
            ]
            return History(missed, top, since.offset >= first)

        history: History = await self._call("history", read)
        return history

    async def enter(self, room: str, client: Client) -> None:
        def enter() -> None:
            if client.id not in self.present_:
                self._send(Join(ROOM, client))
            self.present_[client.id] = client

        await self._call("enter", enter)

    async def exit(self, room: str, client: Client) -> None:
        def exit() -> None:
            if self.present_.pop(client.id, None) is not None:
                self._send(Leave(ROOM, client))

        await self._call("exit", exit)

    async def present(self, room: str) -> list[Client]:
        present: list[Client] = await self._call("present", lambda: list(self.present_.values()))
        return present


class Story:
    """What one member was told: it checks that nothing is missing, nothing twice, unsaid."""

    def __init__(self, since: Position | None, on_gap: OnGap) -> None:
        self.since = since
        self.on_gap = on_gap
        self.events: list[Event] = []
        self.cursor: Position | None = None
        self.resync: Position | None = None  # up to here, a Gap may tell again
        self.gaps = 0
        self.joined: Joined | None = None

    def __call__(self, event: Event) -> None:
        """Be a format: nothing is sent, everything is looked at."""
        self.events.append(event)
        if isinstance(event, Joined):
            # Joining again begins anew: from where it asked for, or from where the room stands.
            self.joined = event
            self.cursor = self.since if event.is_recovered else event.position
            self.resync = None
        elif isinstance(event, Gap):
            assert self.cursor is not None, self.events
            self.gaps += 1
            self.cursor = event.position
            self.resync = event.position if self.on_gap is OnGap.RESYNC else None
        elif isinstance(event, Publication):
            self._check_next(event)
        else:
            assert isinstance(event, (Join, Leave))

    def _check_next(self, event: Publication) -> None:
        position, cursor = event.position, self.cursor
        assert position is not None
        assert cursor is not None, self.events
        assert position.epoch == cursor.epoch, self.events
        if self.resync is not None and position.offset <= self.resync.offset:
            self.resync = None  # the first of what the history still has; the rest follows it
        else:
            assert event.previous == cursor.offset, self.events
        self.cursor = position
