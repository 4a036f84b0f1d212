"""The line in the log about what a broker delivered and no node of ours can have written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger("longwire.hub")

EVERY_SECONDS = 10.0
"""A stranger decides how much rubbish comes; one line in so many seconds says how much it was."""


class Dropped:
    """What was dropped on the way in; `what` names the broker. `clock` counts seconds."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._unsaid = 0
        self._next_line = float("-inf")

    def note(self, where: str, why: object) -> None:
        """Count one more, and log it unless that was done a moment ago."""
        self._unsaid += 1
        now = self._clock()
        if now >= self._next_line:
            self._next_line = now + EVERY_SECONDS
            logger.warning(
                "%s: dropped what is no event of ours in %r: %s (%d since the last such line)",
                self._what, where, why, self._unsaid,
            )  # fmt: skip
            self._unsaid = 0
