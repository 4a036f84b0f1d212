"""A worker process: the server, on listening sockets that its supervisor owns.

Run as `python -m longwire.server.worker`; what to serve comes on standard input. It drains and ends
on SIGTERM, as the server does alone, and when its supervisor is gone.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass

from longwire.errors import AppImportError, BindError, ConfigError, StartupError
from longwire.server.channel import Channel, Word
from longwire.server.config import Config
from longwire.server.families import encode
from longwire.server.metrics import collect
from longwire.server.server import Server

LAST_WORDS_TIMEOUT = 1.0
"""Seconds that the last figures may take to reach the supervisor."""


@dataclass(frozen=True)
class Assignment:
    """What a worker is told when it starts: its options, and the descriptors it inherits."""

    config: Config
    listening: tuple[int, ...]
    channel: int
    alive_interval: float  # seconds between signs of life


class Worker:
    """The server, and the conversation with the supervisor beside it."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        sockets = [_take(fd) for fd in assignment.listening]
        self._server = Server(assignment.config, sockets)
        self._channel: Channel | None = None

    def run(self) -> int:
        """Serve until a signal comes, or the supervisor is gone; return the exit status."""
        return self._server.run(self._converse)

    async def _converse(self) -> None:
        """Say that we are ready, and alive; do as we are told; say at the end what we counted."""
        channel = await Channel.open(_take(self._assignment.channel))
        self._server.state.on_enough_requests = lambda: channel.say(Word.RECYCLE)
        channel.say(Word.READY)
        beside = {asyncio.create_task(self._live(channel))}
        try:
            while (said := await channel.hear()) is not None:
                if said.word is Word.PAUSE:
                    self._server.stop_accepting()
                elif said.word is Word.METRICS:
                    answering = asyncio.create_task(self._say_figures(channel))
                    beside.add(answering)
                    answering.add_done_callback(beside.discard)
            self._server.state.logger.error("the supervisor is gone")
            self._server.stop()
        finally:
            for task in beside:
                task.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_TIMEOUT):
                    await self._say_figures(channel)
                    await channel.flush()

    async def _say_figures(self, channel: Channel) -> None:
        """Answer with what we have counted, or with nothing if that fails."""
        try:
            channel.say(Word.METRICS, encode(await collect(self._server.state)))
        except Exception:
            self._server.state.logger.exception("the metrics cannot be told")
            channel.say(Word.METRICS)

    async def _live(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(self._assignment.alive_interval)
            channel.say(Word.ALIVE)


def _take(fd: int) -> socket.socket:
    """Take over an inherited descriptor; what the application starts shall not inherit it."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    return sock


def main() -> int:
    assignment = pickle.load(sys.stdin.buffer)  # noqa: S301: the supervisor's own, over a pipe
    assert isinstance(assignment, Assignment)
    try:
        return Worker(assignment).run()
    except (AppImportError, BindError, ConfigError, StartupError) as error:
        print(f"longwire: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    # By its own name, so that what was pickled under that name is the same class.
    from longwire.server.worker import main as run

    sys.exit(run())
