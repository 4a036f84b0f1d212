"""Several worker processes behind one address: started, watched, replaced.

- Each worker has a slot with listening sockets of its own (SO_REUSEPORT), so that the kernel
  spreads connections evenly. The sockets are the supervisor's: one that a worker leaves keeps what
  waits in its queue for the next, and no connection is refused meanwhile.
- A worker is replaced by takeover: the new one is ready before the old one stops accepting, and
  the old one drains only then. SIGHUP, --limit-max-requests and --reload are all this.
- A worker that dies, or whose event loop does not turn, takes only its own connections; it is
  replaced with a delay that grows while its successors die, too.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from longwire import __version__
from longwire.errors import WorkerError, WorkerTimeout
from longwire.server.config import Config
from longwire.server.listener import Listening
from longwire.server.logs import configure_logging
from longwire.server.metrics_listener import MetricsListener
from longwire.server.process import WorkerProcess, why_it_ended
from longwire.server.reload import changes, check_reload
from longwire.server.server import longest_end
from longwire.server.worker_metrics import Restart, WorkerMetrics

FIRST_DELAY = 0.5
MAX_DELAY = 30.0
"""Seconds before a worker that died is replaced: none for the first, then these, doubling."""

SETTLED = 30.0
"""Seconds of life after which a worker's death counts as the first again."""

HANDSHAKE_PAUSE = 1.0
"""Seconds between the end of accepting and the drain: who was accepted at the last moment is still
sending its request."""

END_MARGIN = 3.0
"""Seconds beyond the longest that a worker's own end may take, until it is killed."""

STARTING_PATIENCE = 2.0
"""Seconds that a worker has to end which is given up before it was ready: an import that hangs
does not look at signals."""

logger = logging.getLogger("longwire.error")


class Supervisor:
    """Runs `config.workers` workers until it is told to stop."""

    def __init__(self, config: Config, remark: str | None = None) -> None:
        self._config = config
        self._remark = remark  # a line more for the log, once all workers serve
        self._listening = Listening(config)
        self._slots: list[Slot] = []
        self._figures = WorkerMetrics()
        self._metrics: MetricsListener | None = None
        self._stopping = asyncio.Event()
        self._rollout: asyncio.Task[None] | None = None
        self._serving = asyncio.Event()

    def run(self) -> int:
        """Serve until a signal comes; return the exit status."""
        configure_logging(self._config)
        if self._config.reload:
            check_reload(self._config)
        if self._config.metrics is not None:
            self._metrics = MetricsListener(self._config)
        return asyncio.run(self._serve())

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        with self._listening:
            config = replace(self._config, metrics=None)  # they are served here, of all as one
            self._slots = [
                Slot(number, config, sockets, self._figures, self._stopping.set)
                for number, sockets in enumerate(self._listening.slots, 1)
            ]
            if self._metrics is not None:
                self._metrics.bind()
            reloading = None
            try:
                if self._metrics is not None:
                    await self._metrics.start(self._figures.collect)
                if self._config.reload:
                    reloading = asyncio.ensure_future(self._reload_on_changes())
                if await self._start_all():
                    self._greet()
                await self._stopping.wait()
            except WorkerError as error:
                # Of one that ended by itself there is a line already: its own.
                level = logging.ERROR if isinstance(error, WorkerTimeout) else logging.DEBUG
                logger.log(level, "%s", error)
                return error.exit_status
            finally:
                status = await self._end_all(reloading)
        return status

    async def _start_all(self) -> bool:
        """Start the workers; return False if the server was told to stop before they were ready.

        The first starts alone: if the application does not start, it says so once.
        """
        first, *others = self._slots
        stopping = asyncio.ensure_future(self._stopping.wait())
        starting = asyncio.ensure_future(self._start_in_turn(first, others))
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            await _cancelled(starting)
            return False
        starting.result()
        self._serving.set()
        return True

    async def _start_in_turn(self, first: Slot, others: list[Slot]) -> None:
        await first.start()
        self._listening.listen()
        await asyncio.gather(*(slot.start() for slot in others))

    def _greet(self) -> None:
        logger.info(
            "Longwire %s on %s, %d %s; Ctrl+C to stop",
            __version__,
            ", ".join(self._listening.addresses),
            len(self._slots),
            "worker" if len(self._slots) == 1 else "workers",
        )
        if self._remark is not None:
            logger.info("%s", self._remark)
        if self._metrics is not None:
            logger.info("metrics on %s", ", ".join(self._metrics.addresses))

    def _on_stop(self) -> None:
        if self._stopping.is_set():
            for slot in self._slots:
                slot.hurry()
        self._stopping.set()

    def _on_hangup(self) -> None:
        self._restart("SIGHUP")

    def _restart(self, why: str) -> None:
        """Replace all workers; one that is being started for an earlier reason is given up."""
        if self._serving.is_set() and not self._stopping.is_set():
            earlier = self._rollout
            self._rollout = asyncio.ensure_future(self._replace_all(why, earlier))

    async def _replace_all(self, why: str, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await _cancelled(earlier)
        logger.info("%s: replacing the workers", why)
        for slot in self._slots:
            if not await slot.replace():
                return  # the others would not start either

    async def _reload_on_changes(self) -> None:
        """Watch from before the first worker starts: one that has read a file knows no change."""
        async for path in changes(self._config, self._stopping):
            await self._serving.wait()
            self._restart(f"{path} has changed")

    async def _end_all(self, reloading: asyncio.Task[None] | None) -> int:
        self._stopping.set()
        self._listening.close()  # else the kernel goes on to connect clients whom nobody serves
        for task in (reloading, self._rollout):
            if task is not None:
                await _cancelled(task)
        statuses = await asyncio.gather(*(slot.end() for slot in self._slots))
        if self._metrics is not None:
            await self._metrics.close()  # last: whoever watches the drain sees its end
        return max(statuses, default=0)


class Slot:
    """One worker's place: its sockets, whoever serves them now, and those who drain."""

    def __init__(
        self,
        number: int,
        config: Config,
        sockets: list[socket.socket],
        figures: WorkerMetrics,
        on_failure: Callable[[], None],
    ) -> None:
        self._number = number
        self._config = config
        self._sockets = sockets
        self._figures = figures
        self._on_failure = on_failure  # of this supervisor itself: it ends
        self._worker: WorkerProcess | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._processes: set[WorkerProcess] = set()
        self._replacing = asyncio.Lock()
        self._deaths = 0  # of workers in a row that did not settle

    async def start(self) -> None:
        """Start a worker and wait until it accepts connections; WorkerError if it does not."""
        self._adopt(await self._new_worker())

    def _adopt(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._run(self._watch(worker))

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("the supervisor failed", exc_info=task.exception())
            self._on_failure()

    async def _new_worker(self) -> WorkerProcess:
        worker = await WorkerProcess.spawn(self._number, self._config, self._sockets)
        self._processes.add(worker)
        self._figures.began(worker)
        try:
            await worker.ready()
        except BaseException:
            await worker.end(STARTING_PATIENCE)
            self._forget(worker)
            raise
        return worker

    async def replace(self) -> bool:
        """Have a new worker take over; return whether it did. The old one drains meanwhile."""
        return await self._replace(self._worker, Restart.RELOAD)

    async def _replace(self, old: WorkerProcess | None, why: Restart) -> bool:
        """Replace this worker, unless another one has its place by then."""
        async with self._replacing:
            if self._worker is not old:
                return True
            try:
                new = await self._new_worker()
            except WorkerError as error:
                logger.error("%s; the old worker goes on", error)
                return False
            self._adopt(new)
            self._figures.count_restart(why)
            if old in self._processes:
                assert old is not None
                self._run(self._pause_and_end(old))
            return True

    async def _pause_and_end(self, worker: WorkerProcess) -> None:
        worker.pause()
        await asyncio.sleep(HANDSHAKE_PAUSE)
        await self._end(worker)

    async def _watch(self, worker: WorkerProcess) -> None:
        """Replace the worker when it dies, hangs, or has served enough."""
        reason = await worker.trouble()
        if worker is not self._worker:
            return  # it was replaced, and this is its end
        if reason is None:
            while not await self._replace(worker, Restart.REQUESTS):
                await asyncio.sleep(MAX_DELAY)
            return
        logger.error("%s; its connections are lost", reason)
        await self._end(worker, at_once=True)
        if worker.age() > SETTLED:
            self._deaths = 0
        while True:
            if self._deaths:
                delay = min(FIRST_DELAY * 2 ** (self._deaths - 1), MAX_DELAY)
                logger.error("starting worker %d again in %g s", self._number, delay)
                await asyncio.sleep(delay)
            self._deaths += 1
            if await self._replace_dead(worker):
                return

    async def _replace_dead(self, worker: WorkerProcess) -> bool:
        """Start a worker in this one's place, unless there is one; return whether there is."""
        async with self._replacing:
            if self._worker is not worker:
                return True
            try:
                self._adopt(await self._new_worker())
            except WorkerError as error:
                logger.error("%s", error)
                return False
            self._figures.count_restart(Restart.LOST)
            return True

    async def _end(self, worker: WorkerProcess, at_once: bool = False) -> int:
        longest = longest_end(self._config)
        patience = None if longest is None else longest + END_MARGIN
        status = await worker.end(0.0 if at_once else patience)
        self._forget(worker)
        if status < 0 and not at_once:
            logger.error("%s", why_it_ended(worker, status))
        return status

    def _forget(self, worker: WorkerProcess) -> None:
        self._processes.discard(worker)
        self._figures.ended(worker)

    def hurry(self) -> None:
        """Pass on that nobody shall wait."""
        for worker in self._processes:
            worker.hurry()

    async def end(self) -> int:
        """End every worker of this slot; return 0 if all of them ended well."""
        for task in list(self._tasks):
            await _cancelled(task)
        ending = [self._end(worker) for worker in self._processes]
        statuses = await asyncio.gather(*ending)
        return 0 if all(status == 0 for status in statuses) else 1


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel the task, and wait until it has cleaned up."""
    task.cancel()
    await asyncio.wait({task})
