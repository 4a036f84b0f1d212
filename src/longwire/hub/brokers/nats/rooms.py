"""Publications in JetStream: stored once, read back in order, and what of them is in a window."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from datetime import UTC, datetime

from nats.aio.msg import Msg

from longwire.hub.broker import Window
from longwire.hub.brokers.dropped import Dropped
from longwire.hub.brokers.envelope import InvalidEnvelope, decode, encode_draft
from longwire.hub.brokers.nats.link import Link, status_of
from longwire.hub.brokers.nats.options import Options
from longwire.hub.brokers.nats.streams import PAUSE, Streams, ask_jetstream, why_refused
from longwire.hub.brokers.nats.subjects import Subjects
from longwire.hub.events import Draft, History, Position, Publication

BATCH = 1000
"""Publications asked for at once."""

BATCH_BYTES = 512 * 1024
"""Bytes of them: a server cuts off who has more outstanding than its max_pending, and would itself
send as much as that."""

MAX_SEQUENCE = 2**63


class Rooms:
    """The stream of the rooms with history."""

    def __init__(
        self, options: Options, subjects: Subjects, link: Link, streams: Streams, dropped: Dropped
    ) -> None:
        self._options = options
        self._subjects = subjects
        self._link = link
        self._streams = streams
        self._dropped = dropped
        self._name = secrets.token_hex(8)  # begins the ids of what this broker stores
        self._ids = itertools.count()

    async def publish(self, room: str, draft: Draft, window: Window, deadline: float) -> Position:
        """Store it, once however often it is tried; the server passes it on. BrokerError."""
        if not self._streams.fits(window):
            await self._streams.widen(window, deadline)
        answer = await self.store(self._subjects.room(room), encode_draft(draft), deadline)
        if isinstance(answer, int):
            return Position(answer, self._streams.epoch)
        raise self._link.error(f"JetStream: {answer[1]}")

    async def store(
        self, subject: str, payload: bytes, deadline: float, **headers: str
    ) -> int | tuple[int, str]:
        """Store a message; return its sequence, or JetStream's code and words if it refuses.

        Headers are given as names of Python: Nats_TTL is Nats-TTL. BrokerError.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Nats-Msg-Id"] = f"{self._name}.{next(self._ids)}"
        answer = await ask_jetstream(self._link, subject, payload, deadline, named)
        refused = why_refused(answer)
        if refused is not None:
            return refused
        sequence = answer.get("seq")
        if type(sequence) is not int:
            raise self._link.error("JetStream answered what is no answer")
        return sequence

    async def position(self, room: str, deadline: float) -> Position:
        """Return where the room stands. BrokerError."""
        body = json.dumps({"last_by_subj": self._subjects.room(room)}).encode()
        if self._options.replicas == 1:
            call = f"$JS.API.DIRECT.GET.{self._subjects.rooms}"
            message = await self._link.ask(call, body, deadline)
            if status_of(message) == "404":
                return Position(0, self._streams.epoch)
            offset = sequence_of(message)
        else:
            # Of several, any may answer a direct get, and only the leader surely knows the latest.
            call = f"$JS.API.STREAM.MSG.GET.{self._subjects.rooms}"
            answer = await ask_jetstream(self._link, call, body, deadline)
            if (why_refused(answer) or (0, ""))[0] == 10037:  # no message found
                return Position(0, self._streams.epoch)
            found = (answer.get("message") or {}).get("seq")
            offset = found if type(found) is int else None
        if offset is None:
            raise self._link.error("JetStream answered what is no answer")
        return Position(offset, self._streams.epoch)

    async def history(
        self, room: str, window: Window, since: Position | None, limit: int | None, deadline: float
    ) -> History:
        """As Broker.history() says."""
        if not self._streams.fits(window):
            await self._streams.widen(window, deadline)
        top = await self.position(room, deadline)
        start = 0
        if since is not None and since.epoch == top.epoch and since.offset <= top.offset:
            start = since.offset
        stored = await self._read(room, start, top.offset, deadline)
        oldest = datetime.now(UTC).timestamp() - window.seconds
        inside = [p for when, _, p in stored if p is not None and when > oldest]
        inside = inside[max(0, len(inside) - window.size) :]
        if since is None:
            kept = inside if limit is None else inside[max(0, len(inside) - limit) :]
            return History(kept, top)
        if since.epoch != top.epoch or since.offset > top.offset:
            return History(inside[:limit], top, is_whole=False)
        missed = [p for p in inside if _offset(p) > start]
        after = [p for _, offset, p in stored if p is not None and offset > start]
        # Where nothing was published when somebody came there is nothing to look for.
        is_there = start == 0 or any(offset == start for _, offset, _ in stored)
        return History(missed[:limit], top, is_there and len(missed) == len(after))

    async def _read(
        self, room: str, start: int, top: int, deadline: float
    ) -> list[tuple[float, int, Publication | None]]:
        """Return time, offset and publication of all that is stored from start; None is rubbish."""
        found: list[tuple[float, int, Publication | None]] = []
        loop = asyncio.get_running_loop()
        previous, next = 0, max(start, 1)
        while top and next <= top:
            before = next
            for message in await self.read_on(self._subjects.room(room), next, deadline):
                offset = sequence_of(message)
                if offset is not None and offset >= next:
                    event = self._decode(room, offset, previous, message)
                    found.append((time_of(message), offset, event))
                    previous, next = offset, offset + 1
            if next == before:  # of several servers, this one does not have all of it yet
                if loop.time() + PAUSE >= deadline:
                    raise self._link.error("the history is not there in time")
                await asyncio.sleep(PAUSE)
        return found

    async def read_on(
        self, subject: str, start: int, deadline: float, stream: str | None = None
    ) -> list[Msg]:
        """Return the next messages of a subject, with or without wildcards. BrokerError."""
        next = {"seq": start, "next_by_subj": subject}
        body = json.dumps({**next, "batch": BATCH, "max_bytes": BATCH_BYTES}).encode()
        call = f"$JS.API.DIRECT.GET.{stream or self._subjects.rooms}"
        answers = await self._link.ask_all(call, body, deadline, _is_end)
        if status_of(answers[-1]) not in ("204", "404"):
            raise self._link.error(f"JetStream: {(answers[-1].headers or {}).get('Description')}")
        return answers[:-1]

    def _decode(self, room: str, offset: int, previous: int, message: Msg) -> Publication | None:
        try:
            event = decode(room, message.data, Position(offset, self._streams.epoch), previous)
        except InvalidEnvelope as error:
            self._dropped.note(message.subject, error)
            return None
        return event if isinstance(event, Publication) else None


def _is_end(message: Msg) -> bool:
    return status_of(message) is not None


def _offset(publication: Publication) -> int:
    assert publication.position is not None
    return publication.position.offset


def sequence_of(message: Msg, header: str = "Nats-Sequence") -> int | None:
    """Return the number in a header of the server's; None if there is none."""
    text = (message.headers or {}).get(header, "")
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) < MAX_SEQUENCE:
        return int(text)
    return None


def time_of(message: Msg) -> float:
    """Return when the server stored it, in seconds of its clock; 0 if it does not say."""
    try:
        return datetime.fromisoformat(
            (message.headers or {}).get("Nats-Time-Stamp", "")
        ).timestamp()
    except ValueError:
        return 0.0
