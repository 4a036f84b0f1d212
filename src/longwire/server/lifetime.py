"""How long a WebSocket may live: clients come back through the balancer, and are spread anew."""

from __future__ import annotations

import random

from longwire.server.timers import NEVER

JITTER = 0.1
"""The part of its time by which a connection may end early: those of one deploy, or one outage,
began together, and should not come back together."""


def expiry(now: float, max_lifetime: float | None) -> float:
    """Return when a connection that begins now ends, on the same clock, or NEVER."""
    if not max_lifetime:
        return NEVER
    return now + max_lifetime * random.uniform(1 - JITTER, 1)
