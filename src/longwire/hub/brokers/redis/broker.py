"""The broker on Redis: what docs/hub-brokers.md tells operators is done here."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from itertools import count

from longwire.errors import BrokerError
from longwire.hub.broker import Node, Window
from longwire.hub.brokers.dropped import Dropped
from longwire.hub.brokers.envelope import InvalidEnvelope, encode_draft, encode_signal
from longwire.hub.brokers.redis import scripts
from longwire.hub.brokers.redis.entries import read_entry, read_publication, select
from longwire.hub.brokers.redis.keys import Keys
from longwire.hub.brokers.redis.link import Link
from longwire.hub.brokers.redis.options import Connections, Options
from longwire.hub.brokers.redis.roll import Roll
from longwire.hub.brokers.redis.session import Doubt, Session
from longwire.hub.events import Client, Draft, History, Position, Publication, Signal

logger = logging.getLogger("longwire.hub")

KEEP_SECONDS = 24 * 3600.0
"""A room keeps its epoch for that long beyond its history: whoever comes back with a position until
then is told that nothing was missed."""

KEEP_AGAIN_SECONDS = KEEP_SECONDS / 4
"""How often a node says that it is still interested in its rooms: one that is quiet for days begins
no other epoch under those who are in it."""

MOST_SECONDS = 10 * 365 * 24 * 3600.0
"""A window that lasts longer, or for ever, lasts that long: Redis counts in whole milliseconds."""

SLACK = 1000
"""Milliseconds by which the clocks of Redis and of this process may drift apart in an outage."""


class RedisBroker:
    """A Broker, with Presence, on one Redis (7.0 or later) or Valkey; Redis Cluster is not for it.

    `prefix` begins every key and channel; hubs with the same one, in the same database, share their
    rooms. `heartbeat` and `timeout` are seconds: whoever is not heard of for three heartbeats is
    dead, a Redis that is silent for one and a half is given up, and every method raises BrokerError
    after the timeout at the latest. Two connections are kept, whatever the number of rooms.

    Raises BrokerError for an address that is none, and for options that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "longwire",
        heartbeat: float = 5.0,
        timeout: float = 5.0,
    ) -> None:
        self._options = Options(url, prefix, heartbeat, timeout)
        self._connections = Connections(self._options)
        self._keys = Keys(prefix, self._connections.database)
        self._dropped = Dropped(self._options.address)
        self._rooms: dict[bytes, str] = {}  # the subscribed ones, by their channels
        self._kept: dict[str, int] = {}  # those with history: for how many milliseconds
        self._keep_again = 0.0  # when, on the event loop's clock
        self._messages = count()
        self._name = secrets.token_hex(6)  # begins the ids of this broker's messages
        self._node: Node | None = None
        self._session: Session | None = None
        self._roll: Roll | None = None

    async def open(self, node: Node) -> None:
        session = Session(self._options, self._connections, self)
        self._node = node
        self._roll = Roll(
            self._keys, node.id, self._options.heartbeat, session, self._dropped,
            self._on_taken_for_dead,
        )  # fmt: skip
        await session.open()
        self._session = session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None and self._roll is not None:
            await session.close(self._roll.resign)
            self._rooms.clear()
            self._kept.clear()

    # Publications

    async def publish(self, room: str, draft: Draft, window: Window) -> Position | None:
        session = self._opened()
        envelope = encode_draft(draft)
        channel = self._keys.channel(room)
        if not window.size:
            await session.ask(
                lambda link, _: link.commands.ask("PUBLISH", channel, b"\n" + envelope),
                session.deadline(),
                is_repeatable=False,
            )
            return None
        keys = (*self._keys.kept(room), channel)
        id = f"{self._name}{next(self._messages):x}"

        def ask(link: Link, doubt: Doubt | None) -> asyncio.Future[object]:
            milliseconds = 0
            if doubt is not None:
                # What another process remembers of the last moments is not to be relied on.
                if doubt.run_id != link.run_id:
                    raise session.error("restarted before it answered; it may have happened")
                age = asyncio.get_running_loop().time() - doubt.began
                milliseconds = int(age * 1000) + SLACK
            return link.run(
                scripts.PUBLISH, keys,
                envelope, id, secrets.token_hex(4), window.size, _milliseconds(window.seconds),
                _milliseconds(window.seconds + KEEP_SECONDS), milliseconds,
            )  # fmt: skip

        epoch, offset = await session.ask(ask, session.deadline())
        return Position(offset, epoch.decode())

    async def signal(self, event: Signal) -> None:
        session = self._opened()
        channel, payload = self._keys.channel(event.room), b"\n" + encode_signal(event)
        await session.ask(
            lambda link, _: link.commands.ask("PUBLISH", channel, payload),
            session.deadline(),
            is_repeatable=False,
        )

    # Subscriptions

    async def subscribe(self, room: str, window: Window) -> Position | None:
        session = self._opened()
        deadline = session.deadline()
        channel = self._keys.channel(room)
        is_new = channel not in self._rooms
        self._rooms[channel] = room  # from now on a link that is opened subscribes to it
        try:
            await session.ask(lambda link, _: link.subscribe(channel), deadline)
            if not window.size:
                return None
            kept = self._kept[room] = _milliseconds(window.seconds + KEEP_SECONDS)
            epoch, offset = await session.ask(
                lambda link, _: link.run(
                    scripts.STAND, self._keys.kept(room),
                    secrets.token_hex(4), kept,
                ),
                deadline,
            )  # fmt: skip
        except BaseException:
            if is_new:
                self._unsubscribe(session, room)
            raise
        return Position(offset, epoch.decode())

    async def unsubscribe(self, room: str) -> None:
        answer = self._unsubscribe(self._opened(), room)
        if answer is not None:
            # What is published until then is not for a subscription that follows this one.
            await asyncio.wait([answer], timeout=self._options.timeout)

    def _unsubscribe(self, session: Session, room: str) -> asyncio.Future[object] | None:
        """Deliver nothing of it from now on; return Redis' answer, if it is asked."""
        channel = self._keys.channel(room)
        self._kept.pop(room, None)
        if self._rooms.pop(channel, None) is not None and session.link is not None:
            return session.link.unsubscribe(channel)
        return None

    # History

    async def history(
        self, room: str, window: Window, since: Position | None = None, limit: int | None = None
    ) -> History:
        session = self._opened()
        deadline = session.deadline()
        top, is_whole, first, entries = await self._read(room, window, since, limit, deadline)
        publications = self._publications(room, entries)
        if [_place(p) for p in publications] == [
            (offset, top.epoch) for offset in range(first, first + len(entries))
        ]:
            return History(publications, top, is_whole)
        # Somebody else has written to it: everything is read, and ours picked out.
        top, _, _, entries = await self._read(room, window, None, None, deadline)
        return select(self._publications(room, entries), top, since, limit)

    async def _read(
        self,
        room: str,
        window: Window,
        since: Position | None,
        limit: int | None,
        deadline: float,
    ) -> tuple[Position, bool, int, list[bytes]]:
        epoch, offset, is_whole, first, entries = await self._opened().ask(
            lambda link, _: link.run(
                scripts.HISTORY, self._keys.kept(room),
                secrets.token_hex(4), _milliseconds(window.seconds + KEEP_SECONDS),
                window.size, _milliseconds(window.seconds),
                -1 if since is None else since.offset, "" if since is None else since.epoch,
                -1 if limit is None else limit,
            ),
            deadline,
        )  # fmt: skip
        return Position(offset, epoch.decode()), bool(is_whole), first, entries

    def _publications(self, room: str, entries: list[bytes]) -> list[Publication]:
        publications = []
        for entry in entries:
            try:
                publications.append(read_publication(room, entry))
            except InvalidEnvelope as error:
                self._dropped.note(room, error)
        return publications

    # Presence

    async def enter(self, room: str, client: Client) -> None:
        await self._opened_roll().enter(room, client)

    async def exit(self, room: str, client: Client) -> None:
        await self._opened_roll().exit(room, client)

    async def present(self, room: str) -> list[Client]:
        return await self._opened_roll().present(room)

    # What the session tells

    def on_message(self, channel: bytes, payload: bytes) -> None:
        room = self._rooms.get(channel)
        if room is None or self._node is None:
            return
        try:
            event = read_entry(room, payload)
        except Exception as error:  # whatever a stranger finds to send, this node goes on
            self._dropped.note(room, error)
            return
        self._tell(lambda node: node.on_event(event))

    def channels(self) -> Iterable[bytes]:
        return self._rooms

    async def beat(self, link: Link) -> None:
        await self._opened_roll().beat(link)
        now = asyncio.get_running_loop().time()
        if now >= self._keep_again:
            self._keep_again = now + KEEP_AGAIN_SECONDS
            for room, kept in self._kept.items():
                link.commands.ask("PEXPIRE", self._keys.rooms + room, kept)

    def on_lost(self, error: str) -> None:
        self._opened_roll().forget_life()
        self._tell(lambda node: node.on_lost(error))

    def on_restored(self) -> None:
        self._tell(lambda node: node.on_restored())

    def _on_taken_for_dead(self) -> None:
        logger.warning("%s: taken for dead; entering again", self._options.address)
        self._tell(lambda node: node.on_restored())

    def _tell(self, tell: Callable[[Node], None]) -> None:
        try:
            if self._node is not None:
                tell(self._node)
        except Exception:
            logger.exception("a node's callback raised; it may not")

    def _opened(self) -> Session:
        if self._session is None:
            raise BrokerError(f"{self._options.address}: the broker is not open")
        return self._session

    def _opened_roll(self) -> Roll:
        if self._roll is None:
            raise BrokerError(f"{self._options.address}: the broker is not open")
        return self._roll


def _place(publication: Publication) -> tuple[int, str] | None:
    position = publication.position
    return None if position is None else (position.offset, position.epoch)


def _milliseconds(seconds: float) -> int:
    return max(1, int(min(seconds, MOST_SECONDS) * 1000))
