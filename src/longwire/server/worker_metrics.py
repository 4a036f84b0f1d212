"""The figures of all workers as one: of those that live, and of what the ended ones have counted.

No counter goes back when a worker ends: its last figures are kept, all but the gauges. A worker
says them once more when it ends by itself; of one that is killed, those of the last scrape count.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum

from longwire.server.families import Family, counter, gauge, lasting, merged
from longwire.server.process import Stage, WorkerProcess

ANSWER_TIMEOUT = 1.0
"""Seconds that a worker has to say its figures; then its gauges are left out of that scrape."""


class Restart(Enum):
    """Why a worker was started in another's place."""

    LOST = "lost"  # it died, or its event loop stood still
    REQUESTS = "requests"  # it had served --limit-max-requests
    RELOAD = "reload"  # SIGHUP, or a file has changed


class WorkerMetrics:
    """One per supervisor; it is told of every worker that begins and ends."""

    def __init__(self) -> None:
        self._living: set[WorkerProcess] = set()
        self._ended: list[Family] = []
        self._restarts: Counter[Restart] = Counter()

    def began(self, worker: WorkerProcess) -> None:
        """Know the worker until ended() is called with it."""
        self._living.add(worker)

    def ended(self, worker: WorkerProcess) -> None:
        """Keep what the worker has counted. Idempotent."""
        if worker in self._living:
            self._living.remove(worker)
            self._ended = merged([*self._ended, *lasting(worker.figures)])

    def count_restart(self, why: Restart) -> None:
        """Count a worker that has taken another's place."""
        self._restarts[why] += 1

    async def collect(self) -> list[Family]:
        """Ask every worker, all at once, and return the sum."""
        asked = [worker for worker in self._living if worker.stage is not Stage.STARTING]
        answers = await asyncio.gather(
            *(worker.refresh_figures(ANSWER_TIMEOUT) for worker in asked)
        )
        silent = {worker for worker, is_told in zip(asked, answers, strict=True) if not is_told}
        families: list[
            Family
        ] = []  # from here on without a turn of the loop: nobody ends meanwhile
        for worker in self._living:
            families += lasting(worker.figures) if worker in silent else worker.figures
        return [*merged([*families, *self._ended]), *self._own(len(silent & self._living))]

    def _own(self, silent: int) -> list[Family]:
        """Return the figures of the supervisor itself."""
        stages = Counter(worker.stage for worker in self._living)
        return [
            gauge(
                "longwire_workers",
                "Worker processes, by how far they have come.",
                *(((("stage", stage.value),), stages[stage]) for stage in Stage),
            ),
            gauge(
                "longwire_workers_silent",
                "Worker processes that did not answer this scrape: their gauges are not in it.",
                ((), silent),
            ),
            counter(
                "longwire_worker_restarts",
                "Worker processes that have taken another's place, by the reason.",
                *(((("reason", why.value),), self._restarts[why]) for why in Restart),
            ),
        ]
