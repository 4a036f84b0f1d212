"""One room on this node: who of us is in it, where it stands, and how it catches up.

    broker --take()--> in order? --deliver()--> members by format, subscriptions
                         |no
                         +--> history --> what was missed, then what came meanwhile

A publication names the offset before it. If that is not where the room stands, something was lost,
or came twice: what the history says is believed, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from longwire.errors import BrokerError, HubError
from longwire.hub.counters import Counters
from longwire.hub.events import (
    Client,
    Disconnect,
    Event,
    Gap,
    History,
    Join,
    Joined,
    Leave,
    Position,
    Publication,
    RoomEvent,
)
from longwire.hub.member import Member
from longwire.hub.message import Format, Message
from longwire.hub.options import MIB, OnGap, RoomOptions
from longwire.hub.outbox import TRY_AGAIN_LATER, Outbox, post_to_all

MAX_HELD = 4096
MAX_HELD_SIZE = 4 * MIB
"""Events held back while the history is read, and bytes; more, and it is read again instead."""

MAX_ATTEMPTS = 3
"""Times the history is read, and has nothing new, for publications that do not follow: then they
are not of this room, or of an epoch that is over."""

FIRST_DELAY, LAST_DELAY = 0.2, 5.0
"""Seconds before the history is asked for again, doubling, less a random half: not all at once."""

IN_ONE_TURN = 32
TURN_SECONDS = 0.005
"""Publications of the past that are delivered before the members' writers have their turn, and for
how long: a member that reads as fast as it can is not to be taken for one that does not, and the
event loop has other things to do."""


logger = logging.getLogger("longwire.hub")

ReadHistory = Callable[["Position | None"], Awaitable[History]]


class Reader(Protocol):
    """Somebody who is in the room: a member, or a subscription of the application."""

    def take(self, event: Event) -> None:
        """Take an event, in order. Never waits."""

    async def take_missed(self, events: list[Event]) -> None:
        """Take events of the past, in order: more than may wait otherwise, so this may."""


class Held:
    """Events that wait until the history is read; over the bounds it begins anew, and says so."""

    __slots__ = ("_size", "events", "is_whole")

    def __init__(self) -> None:
        self.events: list[Any] = []  # for a room publications, for who joins all of it
        self.is_whole = True
        self._size = 0

    def add(self, event: Event) -> None:
        """Hold back the event."""
        size = len(event.data) if isinstance(event, Publication) else 0
        if len(self.events) == MAX_HELD or self._size + size > MAX_HELD_SIZE:
            self.events.clear()
            self.is_whole = False
            self._size = 0
        self.events.append(event)
        self._size += size

    def take(self) -> list[Any]:
        """Return the events, and hold them back no more."""
        events, self.events = self.events, []
        self._size = 0
        return events


class Turns:
    """Lets the event loop have its turn between what is delivered all at once."""

    __slots__ = ("_end", "_left")

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._left = IN_ONE_TURN
        self._end = time.monotonic() + TURN_SECONDS

    async def give(self) -> None:
        """Say that one more is delivered."""
        self._left -= 1
        if not self._left or time.monotonic() >= self._end:
            await asyncio.sleep(0)
            self._begin()


class Room:
    """A room that this node has subscribed to, or is about to."""

    __slots__ = (
        "_catching_up",
        "_counters",
        "_groups",
        "_held",
        "_is_stale",
        "_joining",
        "_read_history",
        "_subscriptions",
        "clients",
        "holds",
        "is_asked_for",
        "is_subscribed",
        "lock",
        "name",
        "options",
        "position",
    )

    def __init__(
        self, name: str, options: RoomOptions, counters: Counters, read_history: ReadHistory
    ) -> None:
        self.name = name
        self.options = options
        self.position: Position | None = None  # what everybody here has been told up to
        self.is_asked_for = False  # of the broker; it may not have answered
        self.is_subscribed = False
        self.lock = asyncio.Lock()  # held while subscribing and unsubscribing
        self.holds = 0  # joins under way: the room stays
        self.clients: dict[Member, Client] = {}
        self._counters = counters
        self._read_history = read_history
        self._groups: dict[Format, dict[str, Outbox]] = {}  # by member's id, for each format
        self._subscriptions: set[Reader] = set()
        self._joining: dict[int, Held] = {}  # what happens while they read the history, by its id
        self._held: Held | None = None  # publications that come while the room does
        self._is_stale = False  # whether the history is to be read once more
        self._catching_up: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.clients or self._subscriptions or self._joining or self.holds)

    def subscribing(self) -> None:
        """Hold back what comes from now on: the position is not known yet."""
        self.is_asked_for = True
        self._held = Held()

    def subscribed(self, position: Position | None) -> None:
        """Begin at this position, with what was held back behind it."""
        self.position = position
        self.is_subscribed = True
        held, self._held = self._held, None
        for publication in [] if held is None else held.take():
            self._place(publication)

    # ---- who is here ------------------------------------------------------------------------

    async def admit(self, reader: Reader, client: Client, since: Position | None) -> Joined:
        """Let somebody in: the answer, what was missed, and then what happens, in that order."""
        if since is None or self.position is None:
            is_recovered = None if since is None else False
            joined = Joined(self.name, client, self.position, is_recovered)
            reader.take(joined)
            self.add(reader, client)
            return joined
        # Who joins again is told from `since` on, nothing meanwhile, and has left if this fails.
        self._silence(reader)
        if isinstance(reader, Member) and reader in self.clients:
            self.clients[reader] = client
        held = Held()
        self._joining[id(held)] = held
        try:
            # From the older of both places: the room comes along if it is behind.
            history = await self._read_history(_older(since, self.position))
            await self._advance(history)
            end = history.position
            is_recovered = (
                history.is_whole
                and held.is_whole
                and since.offset <= end.offset
                and end.epoch == self.position.epoch  # else the room has yet to hear of its end
            )
            position = since if is_recovered else self.position
            joined = Joined(self.name, client, position, is_recovered)
            reader.take(joined)
            if is_recovered:
                missed = [p for p in history.publications if not _is_known(p, since)]
                meanwhile = [event for event in held.take() if not _is_known(event, end)]
                await self._bring_up(reader, [*missed, *meanwhile], held)
            elif end.epoch != self.position.epoch:
                self.catch_up()
            self.add(reader, client)
        finally:
            del self._joining[id(held)]
        return joined

    async def _bring_up(self, reader: Reader, missed: list[Event], held: Held) -> None:
        """Give a reader what it missed, and what happens while it takes that, until it is level."""
        while missed:
            await reader.take_missed(missed)
            if not held.is_whole:
                raise HubError(f"room {self.name!r} is faster than the reader that came back")
            missed = held.take()

    def add(self, reader: Reader, client: Client) -> None:
        """Give somebody what happens from now on."""
        if isinstance(reader, Member):
            self.clients[reader] = client
            self._groups.setdefault(reader.format, {})[reader.id] = reader.outbox
        else:
            self._subscriptions.add(reader)

    def remove(self, reader: Reader) -> Client | None:
        """Let somebody go; return who it was, None if it was not here."""
        if not isinstance(reader, Member):
            self._subscriptions.discard(reader)
            return None
        self._silence(reader)
        return self.clients.pop(reader, None)

    def _silence(self, reader: Reader) -> None:
        """Tell somebody nothing more."""
        if isinstance(reader, Member):
            group = self._groups.get(reader.format)
            if group is not None:
                group.pop(reader.id, None)
                if not group:
                    del self._groups[reader.format]

    # ---- what happens -----------------------------------------------------------------------

    def take(self, event: RoomEvent) -> None:
        """Take an event from the broker."""
        if isinstance(event, Publication):
            self._counters.received += 1
            self._place(event)
        elif isinstance(event, Disconnect):
            for member in list(self.clients):
                member.close_soon(event.code, event.reason)
        else:
            self.deliver(event)

    def _place(self, publication: Publication) -> None:
        """Deliver the publication, or hold it back until its place is clear."""
        if self._held is not None:
            self._held.add(publication)
        elif not self._follow(publication):
            self._held = Held()
            self._held.add(publication)
            self.catch_up()

    def deliver(self, event: Publication | Join | Leave | Gap) -> None:
        """Give the event to everybody here; a format that fails costs its own members only."""
        exclude = event.exclude if isinstance(event, Publication) else None
        key = event.key if isinstance(event, Publication) else None
        for format, outboxes in list(self._groups.items()):
            try:
                data = format(event)
                if data is None:
                    continue
                message = Message(data, key)
            except Exception:
                logger.exception(
                    "a format failed on %s in room %r", type(event).__name__, self.name
                )
                continue
            skipped = None if exclude is None else outboxes.get(exclude)
            self._counters.delivered += post_to_all(outboxes, message, skipped)
        for reader in list(self._subscriptions):
            reader.take(event)
        for held in self._joining.values():
            held.add(event)

    def _follow(self, publication: Publication) -> bool:
        """Deliver the publication if it is the next one; return False if its place is unclear."""
        position, known = publication.position, self.position
        if position is not None and known is not None:
            if position.epoch != known.epoch:
                return False
            if position.offset <= known.offset:
                self._counters.deduplicated += 1
                return True
            if publication.previous != known.offset:
                return False
            self.position = position
        self.deliver(publication)
        return True

    # ---- catching up ------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Read what the history has behind our position; meanwhile publications are held back."""
        if self.position is None or not self.is_subscribed:
            return
        self._is_stale = True  # what is read at this moment may be older than what was lost
        if self._catching_up is None:
            if self._held is None:
                self._held = Held()
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            await self._read_on()
        finally:
            if self._catching_up is asyncio.current_task():
                self._catching_up = None

    async def _read_on(self) -> None:
        delay = FIRST_DELAY
        attempts = failures = 0
        while True:
            known = self.position
            self._is_stale = False
            try:
                history = await self._read_history(known)
            except Exception as error:  # whatever it is: without the history the room stands still
                failures += 1
                self._log_failure(error, failures)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, LAST_DELAY)
                continue
            if not history.is_whole:
                await self._bridge(history)
            elif known is not None and known.epoch == history.position.epoch:
                await self._deliver_in_turns(history.publications)
            if await self._release():
                if not self._is_stale:
                    return
                self._held = Held()
            attempts = attempts + 1 if self.position == known else 0
            if attempts == MAX_ATTEMPTS:
                if await self._release_what_follows():
                    return
                attempts = 0

    def _log_failure(self, error: Exception, failures: int) -> None:
        if not isinstance(error, BrokerError):
            logger.error("room %r cannot catch up", self.name, exc_info=error)
        elif failures == 1:  # one line for each room is enough
            logger.warning("room %r cannot catch up yet: %s", self.name, error)

    async def _advance(self, history: History) -> None:
        """Deliver what the room has missed up to the end of this history, if it is whole."""
        known = self.position
        if history.is_whole and known is not None and known.epoch == history.position.epoch:
            await self._deliver_in_turns(history.publications)

    async def _deliver_in_turns(self, publications: list[Publication]) -> None:
        """Deliver what is not known yet; each step looks where the room stands by then.

        While the room catches up, what is published meanwhile is held back; while only somebody
        joins it is not, and what it delivers here is known, and not delivered once more.
        """
        turns = Turns()
        for publication in publications:
            if not _is_known(publication, self.position):
                self.position = publication.position
                self.deliver(publication)
                await turns.give()

    async def _bridge(self, history: History) -> None:
        """Go on behind a gap, by the policy."""
        since, self.position = self.position, history.position
        self._counters.gaps += 1
        logger.warning("room %r: publications were lost behind %s", self.name, since)
        self.deliver(Gap(self.name, since, history.position))
        if self.options.on_gap is OnGap.CLOSE:
            for member in list(self.clients):
                member.close_soon(TRY_AGAIN_LATER, "messages were lost")
        elif self.options.on_gap is OnGap.RESYNC:
            self.position = Position(0, history.position.epoch)  # to be followed from the oldest on
            await self._deliver_in_turns(history.publications)
            if self.position.epoch == history.position.epoch:
                self.position = max(self.position, history.position, key=lambda at: at.offset)

    async def _release(self) -> bool:
        """Deliver what was held back, as far as it follows; return whether all of it did."""
        turns = Turns()
        while self._held is not None and (events := self._held.take()):
            for index, event in enumerate(events):
                if not self._follow(event):
                    for rest in [*events[index:], *self._held.take()]:
                        self._held.add(rest)
                    return False
                await turns.give()
        self._held = None
        return True

    async def _release_what_follows(self) -> bool:
        """Deliver what was held back and follows; the history does not have the rest.

        Return whether that is all: what came between two slices is to be looked for in the history.
        """
        assert self._held is not None
        turns = Turns()
        dropped = 0
        for event in self._held.take():
            dropped += not self._follow(event)
            await turns.give()
        logger.warning("room %r: %d publications outside of its history", self.name, dropped)
        if self._is_stale or self._held.events:
            return False
        self._held = None
        return True

    def stop(self) -> asyncio.Task[None] | None:
        """Let go of the task that catches up; return it, cancelled."""
        task, self._catching_up = self._catching_up, None
        if task is not None:
            task.cancel()
        return task

    def __iter__(self) -> Iterator[Member]:
        return iter(self.clients)


def _is_known(event: Event, position: Position | None) -> bool:
    """Return whether the event is over for whoever knows everything up to the position.

    What is of another epoch is of one before.
    """
    if not isinstance(event, (Publication, Gap)) or event.position is None or position is None:
        return False
    return event.position.epoch != position.epoch or event.position.offset <= position.offset


def _older(first: Position, second: Position) -> Position:
    if first.epoch != second.epoch or first.offset <= second.offset:
        return first
    return second
