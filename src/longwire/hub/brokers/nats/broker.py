"""The broker on NATS: what docs/hub-brokers.md tells operators is done here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from os import PathLike

from nats.aio.msg import Msg

from longwire.errors import BrokerError
from longwire.hub.broker import Node, Window
from longwire.hub.brokers.dropped import Dropped
from longwire.hub.brokers.envelope import InvalidEnvelope, decode, encode_draft, encode_signal
from longwire.hub.brokers.nats.credentials import Credentials
from longwire.hub.brokers.nats.link import Link, end
from longwire.hub.brokers.nats.options import CLUSTER_TIMEOUT, TIMEOUT, Options
from longwire.hub.brokers.nats.presence import AGAIN, Attendance, Roll
from longwire.hub.brokers.nats.rooms import Rooms, sequence_of
from longwire.hub.brokers.nats.streams import Streams
from longwire.hub.brokers.nats.subjects import Subjects
from longwire.hub.events import Client, Draft, History, Position, Publication, Signal

logger = logging.getLogger("longwire.hub")

CLOSE_SECONDS = 5.0
"""How long a close may take at most to say who leaves: without it the others find out by
themselves, and who ends a process does not wait for a leader to be elected."""

LOOKS = 4
"""How often in a heartbeat a node looks who has died: with two heartbeats of patience, all is done
within three."""


class NatsBroker:
    """A Broker, with Presence, on NATS 2.11 or later with JetStream, one server or a cluster.

    `prefix` begins every subject and stream; hubs with the same one, in the same account, share
    their rooms. `heartbeat` and `timeout` are seconds: whoever is not heard of for three heartbeats
    is dead, a server that is silent for one and a half is given up, and every method raises
    BrokerError after the timeout at the latest: 5 seconds, or 15 with replicas, so that none is
    raised while these elect a leader. `replicas`, 1, 3 or 5, is for the streams when they are made.
    One connection is kept, and 0.5 KB for each room that a node is in.

    Who a node is to NATS stands in the address, `user:password@` or `token@`, or is given by one of
    `user` and `password`, `token`, `user_credentials` (the path of a credentials file, for JWTs)
    and `nkeys_seed` (the path of a file with a seed); the last two need `nats-py[nkeys]`, and are
    read again for each connection. With a `tls` context, as with `tls://`, a server that offers no
    TLS is refused. No error and no line in the log has any of it but a path.

    Raises BrokerError for an address that is none, and for options that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "longwire",
        heartbeat: float = 5.0,
        timeout: float | None = None,
        replicas: int = 1,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        user_credentials: str | PathLike[str] | None = None,
        nkeys_seed: str | PathLike[str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if timeout is None:
            timeout = TIMEOUT if replicas == 1 else CLUSTER_TIMEOUT
        credentials = Credentials(user, password, token, user_credentials, nkeys_seed)
        self._options = Options(url, prefix, heartbeat, timeout, replicas, credentials, tls)
        self._subjects = Subjects(prefix)
        self._dropped = Dropped(self._options.address)
        self._link = Link(self._options, self)
        self._streams = Streams(self._options, self._subjects, self._link)
        self._rooms = Rooms(self._options, self._subjects, self._link, self._streams, self._dropped)
        self._heard: dict[str, Heard] = {}  # the subscribed rooms, by their subjects
        self._node: Node | None = None
        self._attendance: Attendance | None = None
        self._roll: Roll | None = None
        self._beating: asyncio.Task[None] | None = None
        self._is_lost = False

    async def open(self, node: Node) -> None:
        self._node = node
        self._attendance = Attendance(self._subjects, self._link, self._rooms, node.id)
        self._roll = Roll(
            self._subjects, self._rooms, self._attendance, node.id, self._options.heartbeat
        )
        await self._link.open()
        try:
            deadline = self._link.deadline()
            await self._streams.prepare(deadline)
            await self._roll.beat(deadline)
        except BaseException:
            await self._link.close()
            raise
        self._beating = asyncio.create_task(self._beat(self._roll))

    async def close(self) -> None:
        beating, self._beating = self._beating, None
        if beating is not None and self._roll is not None and self._attendance is not None:
            await end(beating)
            with contextlib.suppress(BrokerError):  # then the others find out by themselves
                loop = asyncio.get_running_loop()
                deadline = min(self._link.deadline(), loop.time() + CLOSE_SECONDS)
                await self._attendance.exit_all(deadline)
                await self._roll.end(deadline)
        await self._link.close()
        self._heard.clear()

    # ---- publications -----------------------------------------------------------------------

    async def publish(self, room: str, draft: Draft, window: Window) -> Position | None:
        deadline = self._link.deadline()
        if window.size:
            return await self._rooms.publish(room, draft, window, deadline)
        await self._link.publish(self._subjects.live(room), encode_draft(draft), deadline)
        return None

    async def signal(self, event: Signal) -> None:
        subject = self._subjects.live(event.room)
        await self._link.publish(subject, encode_signal(event), self._link.deadline())

    async def subscribe(self, room: str, window: Window) -> Position | None:
        deadline = self._link.deadline()
        subject = self._subjects.live(room)
        is_new = subject not in self._heard
        heard = self._heard.setdefault(subject, Heard(room))
        try:
            await self._link.listen(subject, deadline)
            if not window.size:
                await self._link.in_force(deadline)
                return None
            position = await self._rooms.position(room, deadline)
        except BaseException:
            if is_new:
                await self.unsubscribe(room)
            raise
        heard.known = max(heard.known, position.offset)
        return position

    async def unsubscribe(self, room: str) -> None:
        subject = self._subjects.live(room)
        self._heard.pop(subject, None)
        await self._link.unlisten(subject)

    async def history(
        self, room: str, window: Window, since: Position | None = None, limit: int | None = None
    ) -> History:
        return await self._rooms.history(room, window, since, limit, self._link.deadline())

    # ---- presence ---------------------------------------------------------------------------

    async def enter(self, room: str, client: Client) -> None:
        await self._opened().enter(room, client, self._link.deadline())

    async def exit(self, room: str, client: Client) -> None:
        await self._opened().exit(room, client, self._link.deadline())

    async def present(self, room: str) -> list[Client]:
        return await self._opened().present(room, self._link.deadline())

    def _opened(self) -> Attendance:
        if self._attendance is None:
            raise self._link.error("the broker is not open")
        return self._attendance

    async def _beat(self, roll: Roll) -> None:
        heartbeat = self._options.heartbeat
        looks = 0
        while True:
            await asyncio.sleep(heartbeat / LOOKS * random.uniform(0.9, 1.0))
            looks += 1
            deadline = asyncio.get_running_loop().time() + max(heartbeat, self._options.timeout)
            try:
                if looks % LOOKS == 0:
                    if not await roll.beat(deadline):
                        self._on_taken_for_dead()
                    if not await self._streams.check(deadline):
                        await self._begin_again(deadline)
                await roll.look(deadline)
            except BrokerError as error:
                roll.forget()
                looks = LOOKS - 1  # to be heard comes first
                if not self._is_lost:
                    logger.warning("the heartbeat failed: %s", error)
            except Exception:
                logger.exception("%s: the heartbeat failed", self._options.address)

    def _on_taken_for_dead(self) -> None:
        if self._is_lost:
            return  # on_connected() says so
        logger.warning("%s: taken for dead by other nodes; entering again", self._options.address)
        if self._node is not None:
            self._node.on_restored()

    async def _begin_again(self, deadline: float) -> None:
        """Go on with a stream that is not the one we knew: somebody has removed that."""
        if await self._streams.prepare(deadline):
            logger.warning("%s: the rooms' stream has begun anew", self._options.address)
            for heard in self._heard.values():
                heard.known = 0
            if self._node is not None:
                self._node.on_restored()

    # ---- what the link says -----------------------------------------------------------------

    def on_message(self, message: Msg) -> None:
        heard = self._heard.get(message.subject)
        if heard is None or self._node is None:
            return
        headers = message.headers or {}
        position, previous = None, 0
        if headers.get("Nats-Stream") == self._subjects.rooms:
            offset = sequence_of(message)
            last = sequence_of(message, "Nats-Last-Sequence")
            if offset is None or last is None or last >= offset or not self._streams.saw(offset):
                self._dropped.note(message.subject, "a place in the history that is none")
                return
            position = Position(offset, self._streams.epoch)
            # Nothing of the room was left when this was stored: what came before was kept for
            # longer than its window, and this node has had it.
            previous = last or min(heard.known, offset - 1)
        elif AGAIN in headers:
            return
        try:
            event = decode(heard.room, message.data, position, previous)
        except InvalidEnvelope as error:
            self._dropped.note(message.subject, error)
            return
        if position is not None:
            if not isinstance(event, Publication):
                self._dropped.note(message.subject, "a signal in the history")
                return
            heard.known = max(heard.known, position.offset)
        self._node.on_event(event)

    def on_lost(self, error: str) -> None:
        if not self._is_lost and self._node is not None:
            self._is_lost = True
            self._node.on_lost(error)

    async def on_connected(self) -> None:
        pause = 0.05
        while self._is_lost and self._node is not None and self._roll is not None:
            try:
                deadline = self._link.deadline()
                self._roll.forget()
                if await self._streams.prepare(deadline):
                    for heard in self._heard.values():
                        heard.known = 0
                await self._roll.beat(deadline)
                self._is_lost = False
                self._node.on_restored()
            except BrokerError as error:
                logger.warning("connected again, and not restored yet: %s", error)
            except Exception:  # for ever after, or the node would be away for good
                logger.exception("%s: connected again, and not restored", self._options.address)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)


class Heard:
    """A room that is subscribed: the latest of its offsets that came by."""

    __slots__ = ("known", "room")

    def __init__(self, room: str) -> None:
        self.room = room
        self.known = 0
