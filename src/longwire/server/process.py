"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys
import time
from contextlib import suppress

from longwire.errors import WorkerError
from longwire.server.channel import Channel, Word
from longwire.server.config import Config
from longwire.server.worker import Assignment

ALIVE_SHARE = 5
"""Signs of life in the time after which a worker counts as hung: four may be late."""


class WorkerProcess:
    """A worker from its start to its end; it serves once ready() has returned."""

    def __init__(
        self, number: int, config: Config, process: asyncio.subprocess.Process, channel: Channel
    ) -> None:
        self.number = number
        self.pid = process.pid
        self._process = process
        self._channel = channel
        self._patience = config.timeout_worker_healthcheck
        self._started_at = time.monotonic()
        self._is_ready = False
        self._is_told_to_end = False

    @classmethod
    async def spawn(
        cls, number: int, config: Config, sockets: list[socket.socket]
    ) -> WorkerProcess:
        """Start a process that serves on these sockets."""
        ours, theirs = socket.socketpair()
        with theirs:
            listening = tuple(sock.fileno() for sock in sockets)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "longwire.server.worker",
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(*listening, theirs.fileno()),
                start_new_session=True,  # Ctrl+C is for the supervisor, which passes it on once
            )
            interval = config.timeout_worker_healthcheck / ALIVE_SHARE
            assignment = Assignment(config, listening, theirs.fileno(), interval)
            assert process.stdin is not None
            process.stdin.write(pickle.dumps(assignment))
            process.stdin.close()
        return cls(number, config, process, await Channel.open(ours))

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.pid})"

    def age(self) -> float:
        """Return the seconds since its start."""
        return time.monotonic() - self._started_at

    async def ready(self) -> None:
        """Return once it accepts connections; WorkerError, with its status, if it ends instead."""
        if await self._channel.hear() is not Word.READY:
            status = await self._process.wait()
            raise WorkerError(f"{why_it_ended(self, status)} before it was ready", status)
        self._is_ready = True

    async def trouble(self) -> str | None:
        """Return what is wrong with it once something is; None once it has served enough."""
        while True:
            try:
                word = await asyncio.wait_for(self._channel.hear(), self._patience)
            except TimeoutError:
                return f"{self} has not turned its event loop for {self._patience:g} s"
            if word is None:
                status = await self._process.wait()
                return why_it_ended(self, status)
            if word is Word.RECYCLE:
                return None

    def pause(self) -> None:
        """Have it accept no more."""
        self._channel.say(Word.PAUSE)

    def hurry(self) -> None:
        """Have it drain; if it does already, at once."""
        self._is_told_to_end = True
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def end(self, timeout: float | None) -> int:
        """Have it drain, kill it after `timeout` seconds; return its exit status.

        One that was not ready yet has nothing to end badly: 0.
        """
        if timeout != 0.0:
            if not self._is_told_to_end:  # twice would mean: at once
                self.hurry()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        status = await self._process.wait()
        self._channel.close()
        return status if self._is_ready else 0


def why_it_ended(worker: WorkerProcess, status: int) -> str:
    """Return one line: which worker, and by what."""
    if status >= 0:
        return f"{worker} ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{worker} was killed by {name}"
