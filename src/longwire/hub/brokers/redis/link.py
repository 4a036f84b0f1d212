"""A node's two connections to Redis, which live and end together: commands, and events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

from redis.exceptions import ResponseError

from longwire.hub.brokers.redis import scripts
from longwire.hub.brokers.redis.line import Line, OnMessage
from longwire.hub.brokers.redis.options import Connections
from longwire.hub.brokers.redis.scripts import Script

STEPS = 5
"""A silence is measured in so many steps: an event loop that stalls misses one of them, and reads
what has come meanwhile before it judges."""


class Link:
    """Open until one of its lines ends; then both do, and the next link is another object."""

    def __init__(self, connections: Connections, on_message: OnMessage) -> None:
        self.commands = Line(connections.make())
        self.events = Line(connections.make(), on_message)
        self.run_id = ""
        """Which process answers: what is in doubt is only tried again with the one that knows."""
        self.commands.ended.add_done_callback(lambda ended: self.events.end(ended.result()))
        self.events.ended.add_done_callback(lambda ended: self.commands.end(ended.result()))

    async def open(self, channels: Iterable[bytes]) -> None:
        """Connect, and subscribe; RedisError, OSError or LineLost if that fails."""
        await self.commands.open()
        await self.events.open()
        await self.load_scripts()
        self.run_id = await self._read_run_id()
        await asyncio.gather(*[self.subscribe(channel) for channel in channels])

    async def load_scripts(self) -> None:
        """Make the scripts known to this server."""
        loads = [self.commands.ask("SCRIPT", "LOAD", script.source) for script in scripts.ALL]
        await asyncio.gather(*loads)

    async def _read_run_id(self) -> str:
        try:
            lines = (await self.commands.ask("INFO", "server")).split(b"\r\n")
        except ResponseError:  # not allowed to: then no two links are known to be to the same
            return secrets.token_hex(8)
        ids = [line.partition(b":")[2] for line in lines if line.startswith(b"run_id:")]
        return ids[0].decode() if ids else secrets.token_hex(8)

    def run(
        self, script: Script, keys: tuple[str | bytes, ...], *arguments: str | bytes | int
    ) -> asyncio.Future[Any]:
        """Run a script; the answer is its own."""
        return self.commands.ask("EVALSHA", script.sha, len(keys), *keys, *arguments)

    def subscribe(self, channel: bytes) -> asyncio.Future[Any]:
        """Subscribe; what is published after the answer is delivered."""
        return self.events.ask("SUBSCRIBE", channel)

    def unsubscribe(self, channel: bytes) -> asyncio.Future[Any]:
        return self.events.ask("UNSUBSCRIBE", channel)

    def end(self, reason: str) -> None:
        """End both lines; whoever waits for an answer gets LineLost."""
        self.commands.end(reason)
        self.events.end(reason)

    async def close(self) -> None:
        """End the lines, and let go of the sockets."""
        await asyncio.gather(self.commands.close(), self.events.close())

    async def wait_ended(self, seconds: float) -> bool:
        """Wait for the end for so long; return whether it has come."""
        await asyncio.wait((self.commands.ended,), timeout=seconds)
        return self.commands.ended.done()

    async def check(
        self, seconds: float, command: asyncio.Future[Any], event: asyncio.Future[Any]
    ) -> None:
        """Wait for an answer on each line; end the link if one is silent for so long."""
        asked = ((self.commands, command), (self.events, event))
        while True:
            heard = [line.answers for line, _ in asked]
            for _ in range(STEPS):
                _, missing = await asyncio.wait((command, event), timeout=seconds / STEPS)
                if not missing:
                    return
            for (line, answer), before in zip(asked, heard, strict=True):
                # One with a backlog is alive, if it moves.
                if not answer.done() and line.answers == before:
                    self.end(f"no answer to a ping within {seconds:g} s")
