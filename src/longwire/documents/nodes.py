"""A document on several nodes: a room of the hub, and what nodes say in it to each other.

    a node's id (8 bytes), part and parts (varuints), then the part:
    0 and a message of Yjs' wire      1, a digest (16 bytes) and a state vector

- Updates are idempotent: what comes twice, or in another order, does no harm.
- Whatever was lost is found by comparing states: when a node comes, when the hub tells of a gap,
  when something waited too long, and at intervals. Nodes that differ send what the other lacks.
- The broker may be away: editors do not wait for it, and the states are compared once it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any

from longwire.documents.document import Document
from longwire.documents.reader import Reader
from longwire.documents.sync import (
    AwarenessUpdate,
    QueryAwareness,
    SyncMessage,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    decode_state,
    encode,
    encode_state,
    number,
)
from longwire.errors import (
    DocumentError,
    HubClosed,
    HubError,
    LimitExceeded,
    MalformedMessage,
    MessageTooLarge,
)
from longwire.hub import Hub, OutboxOptions, Overflow, Publication

WIRE, STATE = b"\x00", b"\x01"
ID_SIZE, DIGEST_SIZE = 8, 16

PART = 128 * 1024
"""Bytes of one message in the room: below the hub's limit, and every broker's."""

MAX_WAITING = 1024
"""Messages for a broker that is slow or away; then all are dropped, and states are compared."""

READER = OutboxOptions(messages=2048, bytes=8 * 1024 * 1024, overflow=Overflow.DROP_OLDEST)
"""Messages of other nodes that wait; what is dropped is asked for again."""

STATE_PAUSE = 0.25
"""Seconds between two states that a node says: several doubts at once are one."""

MAX_SENDERS = 64
"""Nodes whose long messages are put together at a time; the oldest goes."""

FIRST_DELAY, LAST_DELAY = 0.2, 5.0
"""Seconds before the broker is tried again, doubling, less a random half."""

logger = logging.getLogger("longwire.documents")


class Nodes:
    """The other nodes of one document. `id` is this node's: 8 bytes that no other has."""

    def __init__(self, hub: Hub, room: str, id: bytes, document: Document) -> None:
        self._hub = hub
        self._room = room
        self._id = id
        self._document = document
        self._waiting: deque[bytes] = deque()
        self._parts: dict[bytes, list[bytes]] = {}
        self._publisher: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._comparing: asyncio.TimerHandle | None = None
        self._compared_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to listen; from then on the document's news are published."""
        self._document.audience.to_nodes = self.tell
        self._listener = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Publish what waits, if the broker takes it, and listen no more."""
        self._document.audience.to_nodes = None
        if self._comparing is not None:
            self._comparing.cancel()
        if self._publisher is not None:
            await asyncio.wait([self._publisher], timeout=LAST_DELAY)
        tasks = [t for t in (self._publisher, self._listener, *self._tasks) if t is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # ---- what is said -----------------------------------------------------------------------

    def tell(self, message: bytes) -> None:
        """Say a message of Yjs' wire to the other nodes, soon. Never waits."""
        self._post(WIRE + message)

    def compare(self) -> None:
        """Say what is known here, soon: whoever knows more says it."""
        if self._comparing is None:
            pause = max(0.0, self._compared_at + STATE_PAUSE - time.monotonic())
            loop = asyncio.get_running_loop()
            self._comparing = loop.call_later(pause, lambda: self._start(self._say_state()))

    def compare_at_times(self, now: float, every: float) -> None:
        """Compare, if that was some time ago; a random part earlier, so that not all nodes do."""
        if now - self._compared_at >= every * random.uniform(0.8, 1.0):
            self.compare()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say_state(self) -> None:
        self._comparing = None
        self._compared_at = time.monotonic()
        with contextlib.suppress(DocumentError):  # it is given up
            await self._document.read(self._tell_state)

    def _tell_state(self) -> None:
        replica = self._document.replica
        self._post(STATE + replica.digest() + encode_state(replica.known))

    def _post(self, data: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            self.compare()
        count = -(-len(data) // PART)
        for index in range(count):
            part = data[index * PART : (index + 1) * PART]
            self._waiting.append(self._id + number(index) + number(count) + part)
        if self._publisher is None:
            self._publisher = asyncio.create_task(self._publish())

    async def _publish(self) -> None:
        delay = FIRST_DELAY
        try:
            while self._waiting:
                message = self._waiting[0]
                try:
                    await self._hub.publish(self._room, message)
                except HubClosed:
                    return
                except MessageTooLarge:  # it never fits: what is behind it must not wait
                    logger.error("document %r: a hub's messages have %d bytes", self._room, PART)
                except HubError as error:
                    logger.warning("document %r is told to no other node: %s", self._room, error)
                    await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                    delay = min(2 * delay, LAST_DELAY)
                    continue
                else:
                    delay = FIRST_DELAY
                if self._waiting and self._waiting[0] is message:  # or all were dropped meanwhile
                    self._waiting.popleft()
        finally:
            self._publisher = None

    # ---- what is heard ----------------------------------------------------------------------

    async def _listen(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                async with self._hub.subscribe(self._room, options=READER) as events:
                    delay = FIRST_DELAY
                    self.tell(encode(QueryAwareness()))
                    dropped = 0
                    async for event in events:
                        if isinstance(event, Publication):
                            self._hear(event.data)
                        if events.dropped != dropped or not isinstance(event, Publication):
                            dropped = events.dropped  # or joined, or a gap
                            self.compare()
                return
            except HubClosed:
                return
            except HubError as error:
                logger.warning("document %r hears no other node: %s", self._room, error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, LAST_DELAY)

    def _hear(self, data: str | bytes) -> None:
        """Take a message of the room; one that is none costs nothing but a line in the log."""
        if not isinstance(data, bytes) or data[:ID_SIZE] == self._id:
            return
        try:
            whole = self._assemble(data[:ID_SIZE], data[ID_SIZE:])
            if whole is None:
                return
            if whole[:1] == WIRE:
                self._take(data[:ID_SIZE], decode(whole[1:]))
            elif whole[:1] == STATE and len(whole) > DIGEST_SIZE:
                digest = whole[1 : 1 + DIGEST_SIZE]
                state = decode_state(whole[1 + DIGEST_SIZE :])
                self._start(self._answer(digest, state))
            else:
                raise MalformedMessage("a message of nodes is of kind 0 or 1")
        except (MalformedMessage, LimitExceeded) as error:
            logger.warning("document %r: a message of another node: %s", self._room, error)

    def _assemble(self, sender: bytes, data: bytes) -> bytes | None:
        """Return the message that this part completes; one that misses a part is dropped."""
        reader = Reader(data)
        index, count = reader.number(), reader.number()
        part = data[reader.position :]
        if count == 1:
            return part
        parts = self._parts.pop(sender, [])
        # A document has twice its size at most, by deletions; nodes that add to it at once, more.
        limit = 4 * self._document.options.max_document // PART + 2
        if index != len(parts) or count > limit or len(part) > PART:
            self.compare()
            parts = []
            if index:
                return None
        parts.append(part)
        if len(parts) == count:
            return b"".join(parts)
        if len(self._parts) >= MAX_SENDERS:
            del self._parts[next(iter(self._parts))]
        self._parts[sender] = parts
        return None

    def _take(self, sender: bytes, message: SyncMessage) -> None:
        document = self._document
        match message:
            case Update(update) | SyncStep2(update):
                document.take(update, self.compare)
            case AwarenessUpdate(entries):
                news = document.awareness.take(entries, sender, time.monotonic())
                document.audience.tell_awareness(news, is_from_node=True)
            case QueryAwareness():
                entries = document.awareness.entries()
                if entries:
                    self.tell(encode(AwarenessUpdate(entries)))
            case SyncStep1(state):
                self._start(self._answer(b"", state))

    async def _answer(self, digest: bytes, state: Mapping[int, int]) -> None:
        """Say what a node with that state lacks, and ask it for what it has more."""
        with contextlib.suppress(DocumentError):  # it is given up
            await self._document.read(lambda: self._tell_missing(digest, state))

    def _tell_missing(self, digest: bytes, state: Mapping[int, int]) -> None:
        replica = self._document.replica
        if replica.digest() == digest:
            return
        known = replica.known
        is_ahead = any(clock > state.get(client, 0) for client, clock in known.items())
        is_behind = any(clock > known.get(client, 0) for client, clock in state.items())
        if is_ahead or not is_behind:
            self.tell(encode(SyncStep2(replica.diff(state))))
        if is_behind or not is_ahead:  # the same state and another digest: deletions differ
            self.compare()
