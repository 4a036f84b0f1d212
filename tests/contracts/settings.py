"""What the contract suite needs of a broker: nodes that note what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from longwire.hub.broker import Broker, Presence, Window
from longwire.hub.brokers.memory import MemoryBroker, MemoryRooms
from longwire.hub.events import Client, Draft, Position, Publication, RoomEvent

PATIENCE = 15.0
"""Seconds until what a test waits for is taken never to happen."""

WINDOW = Window(100, 60.0)
NO_HISTORY = Window(0, 0.0)

ALICE = Client("c1", "alice", {"name": "Alice Ω", "seats": [1, None, 2.5]})
BOB = Client("c2")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is true of something that tells nobody when it becomes so."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


class RecordingNode:
    """A node that notes what it is told."""

    def __init__(self, broker: Broker) -> None:
        self.id = secrets.token_hex(8)
        self.broker = broker
        self.events: list[RoomEvent] = []
        self.lost: list[str] = []
        self.restored = 0
        self._changed = asyncio.Event()

    def on_event(self, event: RoomEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def on_lost(self, error: str) -> None:
        self.lost.append(error)
        self._changed.set()

    def on_restored(self) -> None:
        self.restored += 1
        self._changed.set()

    @property
    def publications(self) -> list[Publication]:
        return [event for event in self.events if isinstance(event, Publication)]

    @property
    def data(self) -> list[str | bytes]:
        return [publication.data for publication in self.publications]

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until it is true of what this node was told."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pytest.fail(
                f"not within {seconds:g} s; lost: {self.lost}, restored: {self.restored} times; "
                f"{len(self.events)} events, the last of them {self.events[-3:]}"
            )

    async def until_data(self, data: str | bytes) -> None:
        await self.until(lambda: data in self.data)

    async def subscribe(self, room: str, window: Window = WINDOW) -> Position:
        """Subscribe to a room with history; return where it stands."""
        position = await self.broker.subscribe(room, window)
        assert position is not None
        return position


async def publish(broker: Broker, room: str, *data: str, window: Window = WINDOW) -> list[Position]:
    """Publish them one after the other; return their positions."""
    positions = [await broker.publish(room, Draft(text), window) for text in data]
    return [position for position in positions if position is not None]


def presence(node: RecordingNode) -> Presence:
    """Return the node's broker, which can tell who is present, or skip the test."""
    if not isinstance(node.broker, Presence):
        pytest.skip("a broker without Presence")
    return node.broker


class Setting:
    """One kind of broker, as the suite meets it.

    The nodes that it opens share their rooms with each other and with nobody else.
    """

    heartbeat = 0.5
    """Seconds, for brokers that have one: the suite waits for what takes three of them, and a busy
    machine must not let a server or a node stand still for one.
    """

    def broker(self) -> Broker:
        """Return the broker of one more node, not yet opened."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def node(self) -> AsyncIterator[RecordingNode]:
        """Open one more node, and close it in the end."""
        async with self.node_of(self.broker()) as node:
            yield node

    @contextlib.asynccontextmanager
    async def node_of(self, broker: Broker) -> AsyncIterator[RecordingNode]:
        node = RecordingNode(broker)
        await broker.open(node)
        try:
            yield node
        finally:
            await broker.close()


class MemorySetting(Setting):
    """Hubs of one process, as tests have them."""

    def __init__(self) -> None:
        self._rooms = MemoryRooms()

    def broker(self) -> Broker:
        return MemoryBroker(self._rooms)


@contextlib.asynccontextmanager
async def memory_setting() -> AsyncIterator[Setting]:
    yield MemorySetting()
