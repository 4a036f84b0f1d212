"""Who is in which room: one stored message for each client, whose copy the nodes hear as an event.

The last message about a client is its Join, with the node it is on, or its Leave. Each is stored
only if the one before is still the last (the sequence of a subject is compared by the server), so
that of several nodes that say the same one succeeds, and the others hear it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from nats.aio.msg import Msg

from longwire.errors import BrokerError
from longwire.hub.brokers.envelope import InvalidEnvelope, decode, encode_signal
from longwire.hub.brokers.nats.link import Link
from longwire.hub.brokers.nats.rooms import Rooms, sequence_of
from longwire.hub.brokers.nats.subjects import Subjects
from longwire.hub.events import Client, Join, Leave

logger = logging.getLogger("longwire.hub")

NODE = "Longwire-Node"
"""The header that names the node that a client is on."""

AGAIN = "Longwire-Again"
"""The header of a Join that is none: the client was there, and its node says so once more."""

WRONG_SEQUENCE = (10071, 10164)
"""JetStream's codes: somebody else has stored something meanwhile, or is about to."""

GONE_SECONDS = "60"
"""How long a Leave, or the end of a node, stays stored."""

AT_ONCE = 200
"""Clients that are taken out at the same time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored of a client; `client` is None if it has left, or if a stranger wrote it."""

    sequence: int
    node: str = ""
    client: Client | None = None


class Attendance:
    """The entries of the clients."""

    def __init__(self, subjects: Subjects, link: Link, rooms: Rooms, node: str) -> None:
        self._subjects = subjects
        self._link = link
        self._rooms = rooms
        self._node = node
        # Our entries, by room and client: the sequence of each.
        self._own: dict[tuple[str, str], tuple[int, Client]] = {}

    async def enter(self, room: str, client: Client, deadline: float) -> None:
        """Store it; who is in the room hears a Join unless the client was there. BrokerError."""
        subject = self._subjects.client(room, client.id)
        own = self._own.get((room, client.id))
        before = Entry(0) if own is None else Entry(own[0], self._node, client)
        payload = encode_signal(Join(room, client))
        while True:
            headers = {"Longwire_Node": self._node}
            if before.client is not None:
                headers["Longwire_Again"] = "1"
            stored = await self._store(subject, payload, before.sequence, deadline, **headers)
            if stored is not None:
                self._own[room, client.id] = stored, client
                return
            before = await self._last(subject, deadline)

    async def exit(self, room: str, client: Client, deadline: float) -> None:
        """Store that it left; whoever is in the room hears a Leave if it was there. BrokerError."""
        subject = self._subjects.client(room, client.id)
        sequence = self._own.get((room, client.id), (0, client))[0]
        while True:
            if not sequence:
                entry = await self._last(subject, deadline)
                if entry.client is None or entry.node != self._node:
                    break  # it has left, or it has gone over to another node
                sequence = entry.sequence
            if await self._leave(subject, room, client, sequence, deadline):
                break
            sequence = 0
        self._own.pop((room, client.id), None)

    async def present(self, room: str, deadline: float) -> list[Client]:
        """Return who is in the room. BrokerError."""
        entries = await self._read(self._subjects.clients(room), room, deadline)
        return [entry.client for _, entry in entries if entry.client is not None]

    async def exit_all(self, deadline: float) -> None:
        """Take our own clients out. BrokerError."""
        own = [(room, client) for (room, _), (_, client) in self._own.items()]
        for start in range(0, len(own), AT_ONCE):
            batch = own[start : start + AT_ONCE]
            await asyncio.gather(*(self.exit(room, client, deadline) for room, client in batch))

    async def remove(self, node: str, deadline: float) -> None:
        """Take out what is left of a node that died. BrokerError."""
        leaving = [
            (subject, entry)
            for subject, entry in await self._read(self._subjects.all_clients, "", deadline)
            if entry.node == node and entry.client is not None
        ]
        for start in range(0, len(leaving), AT_ONCE):
            await asyncio.gather(
                *(
                    self._leave(subject, "", entry.client, entry.sequence, deadline)
                    for subject, entry in leaving[start : start + AT_ONCE]
                    if entry.client is not None
                )
            )

    async def _leave(
        self, subject: str, room: str, client: Client, sequence: int, deadline: float
    ) -> bool:
        payload = encode_signal(Leave(room, client))
        headers = {"Nats_TTL": GONE_SECONDS}
        return await self._store(subject, payload, sequence, deadline, **headers) is not None

    async def _store(
        self, subject: str, payload: bytes, expected: int, deadline: float, **headers: str
    ) -> int | None:
        """Store it if the last one of its subject is that; None if it is not. BrokerError."""
        headers["Nats_Expected_Last_Subject_Sequence"] = str(expected)
        answer = await self._rooms.store(subject, payload, deadline, **headers)
        if isinstance(answer, int):
            return answer
        if answer[0] not in WRONG_SEQUENCE:
            raise self._link.error(f"JetStream: {answer[1]}")
        return None

    async def _last(self, subject: str, deadline: float) -> Entry:
        entries = await self._read(subject, "", deadline)
        return entries[-1][1] if entries else Entry(0)

    async def _read(self, subject: str, room: str, deadline: float) -> list[tuple[str, Entry]]:
        found: dict[str, Entry] = {}
        start = 1
        while messages := await self._rooms.read_on(
            subject, start, deadline, self._subjects.presence
        ):
            for message in messages:
                sequence = sequence_of(message)
                if sequence is not None:
                    start = max(start, sequence + 1)
                    stored_at = (message.headers or {}).get("Nats-Subject", "")
                    found[stored_at] = _entry(message, sequence, room)
        return list(found.items())


def _entry(message: Msg, sequence: int, room: str) -> Entry:
    with contextlib.suppress(InvalidEnvelope):
        event = decode(room, message.data)
        node = (message.headers or {}).get(NODE, "")
        if isinstance(event, Join) and node:
            return Entry(sequence, node, event.client)
    return Entry(sequence)


class Roll:
    """Calls the roll: this node says that it lives, and takes out those that no longer do.

    Each node goes by its own clock: a node whose message has not changed for two heartbeats while
    we looked is dead. It is claimed first, by a message in the place of its own, so that one node
    takes its clients out; if that one dies over it, its claim goes the same way.
    """

    def __init__(
        self,
        subjects: Subjects,
        rooms: Rooms,
        attendance: Attendance,
        node: str,
        heartbeat: float,
    ) -> None:
        self._subjects = subjects
        self._rooms = rooms
        self._attendance = attendance
        self._subject = subjects.node(node)
        self._name = node
        self._heartbeat = heartbeat
        self._sequence = 0  # of our own last message
        self._seen: dict[str, tuple[int, float]] = {}  # subject: its sequence, since when
        self._looked_at = 0.0
        self._beating = asyncio.Lock()

    async def beat(self, deadline: float) -> bool:
        """Say that this node lives; return False if it has been taken for dead. BrokerError."""
        name = self._name.encode()
        async with self._beating:
            expected = {"Nats_Expected_Last_Subject_Sequence": str(self._sequence)}
            answer = await self._rooms.store(self._subject, name, deadline, **expected)
            was_dead = not isinstance(answer, int)
            if was_dead:
                answer = await self._rooms.store(self._subject, name, deadline)
            if not isinstance(answer, int):
                raise BrokerError(f"JetStream: {answer[1]}")
            self._sequence = answer
        return not was_dead

    def forget(self) -> None:
        """Look anew: nobody could be heard for a while."""
        self._seen.clear()

    async def look(self, deadline: float) -> None:
        """Take out the clients of nodes that are dead by now. BrokerError."""
        loop = asyncio.get_running_loop()
        messages = await self._rooms.read_on(
            self._subjects.all_nodes, 1, deadline, self._subjects.presence
        )
        now = loop.time()
        if now - self._looked_at > self._heartbeat:
            self.forget()  # this process stood still: so may others have, or who would tell
        self._looked_at = now
        seen: dict[str, tuple[int, float]] = {}
        dead: list[tuple[str, int, Msg]] = []
        for message in messages:
            sequence = sequence_of(message)
            subject = (message.headers or {}).get("Nats-Subject", "")
            if sequence is None or subject == self._subject or not message.data:
                continue
            known = self._seen.get(subject)
            since = known[1] if known is not None and known[0] == sequence else now
            seen[subject] = sequence, since
            if now - since >= 2 * self._heartbeat:
                dead.append((subject, sequence, message))
        self._seen = seen
        for subject, sequence, message in dead:
            await self._take_out(subject, sequence, message, deadline)

    async def _take_out(self, subject: str, sequence: int, message: Msg, deadline: float) -> None:
        try:
            name = message.data.decode()
        except UnicodeDecodeError:
            name = ""  # a stranger's
        expected = {"Nats_Expected_Last_Subject_Sequence": str(sequence)}
        claim = await self._rooms.store(subject, message.data, deadline, **expected)
        if not isinstance(claim, int):
            return  # it lives, or another node is at it
        if name:
            logger.warning("node %.80s does not answer; its clients are taken out", name)
            await self._attendance.remove(name, deadline)
        await self._end(subject, claim, deadline)

    async def _end(self, subject: str, sequence: int, deadline: float) -> None:
        expected = {"Nats_Expected_Last_Subject_Sequence": str(sequence)}
        await self._rooms.store(subject, b"", deadline, Nats_TTL=GONE_SECONDS, **expected)

    async def end(self, deadline: float) -> None:
        """Say that this node ends; its clients are out. BrokerError."""
        if self._sequence:
            await self._end(self._subject, self._sequence, deadline)
            self._sequence = 0
