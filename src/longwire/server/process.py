"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys
import time
from contextlib import suppress
from enum import Enum

from longwire.errors import StartupError, WorkerError, WorkerTimeout
from longwire.server.channel import Channel, Word
from longwire.server.config import Config
from longwire.server.families import Family, decode
from longwire.server.worker import Assignment

ALIVE_SHARE = 5
"""Steps of silence after which a worker counts as hung; it gives two signs of life in each."""

LAST_WORDS_TIMEOUT = 0.5
"""Seconds after a worker's end in which what it has said must have been read: it is all here by
then, but a process that it started may hold on to the channel."""


class Stage(Enum):
    """How far a worker has come."""

    STARTING = "starting"
    SERVING = "serving"
    ENDING = "ending"  # another has its place, or it drains


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
        self._startup_timeout = config.timeout_worker_startup
        self._started_at = time.monotonic()
        self._is_ready = False
        self._is_paused = False
        self._is_told_to_end = False
        self._words: asyncio.Queue[Word | None] = asyncio.Queue()
        self._answer: asyncio.Future[bool] | None = None  # to the question that is open
        self.figures: list[Family] = []  # its last ones
        self._hearing = asyncio.ensure_future(self._hear())

    @classmethod
    async def spawn(
        cls, number: int, config: Config, sockets: list[socket.socket]
    ) -> WorkerProcess:
        """Start a process that serves on these sockets; WorkerError if none can be started."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise WorkerError(f"worker {number} cannot be started: {error}", 1) from None
        try:
            with theirs:
                process = await _start(config, sockets, theirs)
            return cls(number, config, process, await Channel.open(ours))
        except OSError as error:
            ours.close()
            raise WorkerError(f"worker {number} cannot be started: {error}", 1) from None
        except BaseException:
            ours.close()  # the process, if there is one, sees that its supervisor is gone
            raise

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.pid})"

    def age(self) -> float:
        """Return the seconds since its start."""
        return time.monotonic() - self._started_at

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        if not self._is_ready:
            return Stage.STARTING
        return Stage.ENDING if self._is_paused or self._is_told_to_end else Stage.SERVING

    async def _hear(self) -> None:
        """Note what it says, from its start to its end, whoever waits for what."""
        while (said := await self._channel.hear()) is not None:
            if said.word is Word.METRICS:
                self._answered(self._take_figures(said.body))
            elif said.word is not Word.ALIVE or self._words.empty():
                self._words.put_nowait(said.word)
        self._words.put_nowait(None)
        self._answered(False)

    def _take_figures(self, data: bytes) -> bool:
        """Keep the figures; return whether these are some."""
        try:
            self.figures = decode(data)
        except ValueError:
            return False
        return True

    def _answered(self, is_told: bool) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(is_told)
        self._answer = None

    async def refresh_figures(self, timeout: float) -> bool:
        """Ask for its figures; return whether they came within `timeout` seconds.

        One question is open at a time: who asks meanwhile has its answer, too.
        """
        if not self._is_ready or self._hearing.done():
            return False
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._channel.say(Word.METRICS)
        answer = self._answer
        await asyncio.wait({answer}, timeout=timeout)
        return answer.done() and answer.result()

    async def ready(self) -> None:
        """Return once it accepts connections; WorkerError, with its status, if it ends instead.

        WorkerTimeout if it does neither within `timeout_worker_startup`: it is still there then.
        """
        seconds = self._startup_timeout
        try:
            word = await self._next(seconds or None)
        except TimeoutError:
            raise WorkerTimeout(
                f"{self} was given up: its start-up did not end within {seconds:g} s"
                " (--timeout-worker-startup)",
                StartupError.exit_status,
            ) from None
        if word is not Word.READY:
            status = await self._process.wait()
            raise WorkerError(f"{why_it_ended(self, status)} before it was ready", status)
        self._is_ready = True

    async def trouble(self) -> str | None:
        """Return what is wrong with it once something is; None once it has served enough.

        Silence is counted in steps: if this process stood still as well, it counts for one.
        """
        silent = 0
        while silent < ALIVE_SHARE:
            try:
                word = await self._next(self._patience / ALIVE_SHARE)
            except TimeoutError:
                silent += 1
                continue
            silent = 0
            if word is Word.RECYCLE:
                return None
            if word is None:
                return why_it_ended(self, await self._process.wait())
        return f"{self} has not turned its event loop for {self._patience:g} s"

    async def _next(self, timeout: float | None) -> Word | None:
        """Return its next word, or None once it has ended; TimeoutError.

        What it started may hold on to the channel: its own end counts as well.
        """
        hearing = asyncio.ensure_future(self._words.get())
        ending = asyncio.ensure_future(self._process.wait())
        try:
            done, _ = await asyncio.wait(
                {hearing, ending}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError
            return hearing.result() if hearing.done() else None
        finally:
            hearing.cancel()
            ending.cancel()

    def pause(self) -> None:
        """Have it accept no more."""
        self._is_paused = True
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
        await asyncio.wait({self._hearing}, timeout=LAST_WORDS_TIMEOUT)
        self._hearing.cancel()
        self._channel.close()
        return status if self._is_ready else 0


async def _start(
    config: Config, sockets: list[socket.socket], channel: socket.socket
) -> asyncio.subprocess.Process:
    listening = tuple(sock.fileno() for sock in sockets)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "longwire.server.worker",
        stdin=asyncio.subprocess.PIPE,
        pass_fds=(*listening, channel.fileno()),
        start_new_session=True,  # Ctrl+C is for the supervisor, which passes it on once
    )
    interval = config.timeout_worker_healthcheck / ALIVE_SHARE / 2
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(Assignment(config, listening, channel.fileno(), interval)))
    process.stdin.close()
    return process


def why_it_ended(worker: WorkerProcess, status: int) -> str:
    """Return one line: which worker, and by what."""
    if status >= 0:
        return f"{worker} ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{worker} was killed by {name}"
