"""Who is in which room, on which node, and which nodes live: the presence of a RedisBroker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from longwire.hub.brokers.dropped import Dropped
from longwire.hub.brokers.envelope import InvalidEnvelope, decode, encode_signal
from longwire.hub.brokers.redis import scripts
from longwire.hub.brokers.redis.keys import Keys, member, node_name
from longwire.hub.brokers.redis.line import LineLost
from longwire.hub.brokers.redis.link import Link
from longwire.hub.brokers.redis.session import Session
from longwire.hub.events import Client, Join, Leave

LIFE = 2.5
"""Heartbeats that a node lives without one. Nodes beat, and look for the dead, every half: whoever
dies is out of all rooms within three."""

NEW = 0
"""What the scripts say of a node that they have not known: at its first beat, or when its clients
have been taken out."""

BATCH = 200
"""Clients of a dead node that one script takes out; Redis does nothing else meanwhile."""


class Roll:
    """The rooms' tables, as one node works on them. `on_taken_for_dead` is called without waiting
    when this node's clients have been taken out: as dead as it was to whoever asked."""

    def __init__(
        self,
        keys: Keys,
        node: str,
        heartbeat: float,
        session: Session,
        dropped: Dropped,
        on_taken_for_dead: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._node = node_name(node)
        self._life = int(heartbeat * LIFE * 1000)
        self._heartbeat = heartbeat
        self._session = session
        self._dropped = dropped
        self._on_taken_for_dead = on_taken_for_dead
        self._is_known = False
        self._burials: asyncio.Task[None] | None = None

    async def beat(self, link: Link) -> None:
        """Say that this node lives, ping both lines, and see to the nodes that do not live."""
        beat = self._beat(link)
        await link.check(self._heartbeat, beat, link.events.ask("PING"))
        life, dead = await beat
        self._note_life(life)
        if dead and (self._burials is None or self._burials.done()):
            self._burials = asyncio.create_task(self._bury_all(link, dead))

    def _beat(self, link: Link) -> asyncio.Future[Any]:
        return link.run(scripts.BEAT, (self._keys.nodes,), self._node, self._life)

    def _note_life(self, life: int) -> None:
        # The first beat of all finds no node of that name, and there is nothing to enter again.
        if self._is_known and life == NEW:
            self._on_taken_for_dead()
        self._is_known = True

    def forget_life(self) -> None:
        """Take the next answer as the first: whoever restores the link enters everybody anyhow."""
        self._is_known = False

    async def _bury_all(self, link: Link, dead: list[bytes]) -> None:
        # Those that are left are found again by the next beat, or by another node's.
        with contextlib.suppress(LineLost, ResponseError):
            for node in dead:
                await self._bury(link, node)
            if self._node.encode() in dead:
                life, _ = await self._beat(link)
                self._note_life(life)

    async def _bury(self, link: Link, node: str | bytes, *, is_self: bool = False) -> None:
        index = self._keys.indexes.encode() + (node if isinstance(node, bytes) else node.encode())
        while await link.run(
            scripts.BURY, (self._keys.nodes, index),
            node, int(is_self), BATCH, self._keys.tables, self._keys.channels,
        ):  # fmt: skip
            pass

    async def resign(self, link: Link) -> None:
        """Take out this node's clients, and its name; what is left undone here others do."""
        if self._burials is not None:
            self._burials.cancel()
            await asyncio.gather(self._burials, return_exceptions=True)
        await self._bury(link, self._node, is_self=True)

    async def enter(self, room: str, client: Client) -> None:
        """Presence.enter()."""
        keys = self._keys
        life = await self._session.ask(
            lambda link, _: link.run(
                scripts.ENTER,
                (keys.table(room), keys.nodes, keys.indexes + self._node, keys.channel(room)),
                self._node, client.id, member(room, client), self._life,
                b"\n" + encode_signal(Join(room, client)), encode_signal(Leave(room, client)),
                keys.indexes,
            ),
            self._session.deadline(),
        )  # fmt: skip
        self._note_life(life)

    async def exit(self, room: str, client: Client) -> None:
        """Presence.exit()."""
        keys = self._keys
        await self._session.ask(
            lambda link, _: link.run(
                scripts.EXIT,
                (keys.table(room), keys.channel(room)),
                client.id, member(room, client), b"\n" + encode_signal(Leave(room, client)),
                keys.indexes,
            ),
            self._session.deadline(),
        )  # fmt: skip

    async def present(self, room: str) -> list[Client]:
        """Presence.present()."""
        envelopes = await self._session.ask(
            lambda link, _: link.run(scripts.PRESENT, (self._keys.table(room), self._keys.nodes)),
            self._session.deadline(),
        )
        clients = []
        for envelope in envelopes:
            try:
                leave = decode(room, envelope)
                if not isinstance(leave, Leave):
                    raise InvalidEnvelope("no Leave in a table of who is present")
                clients.append(leave.client)
            except InvalidEnvelope as error:
                self._dropped.note(room, error)
        return clients
