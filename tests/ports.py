"""Ports for servers that have to be told one, or are started again on the same one."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator

RANGE = range(20_000, 30_000)
"""Below the ephemeral ports.

Of those a server that is away for a moment may lose its own to anybody; even to a client of its own
that tries to reconnect, and is then connected to itself.
"""

PROCESSES = 16
"""Of one run, with those that take the place of one that has crashed."""


def fixed_port() -> int:
    """Return a free port that nobody is given while its server is away."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is always a next one")


def _in_any_order() -> Iterator[int]:
    """Yield the ports of this process, which are another's in no run of several processes."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = RANGE[number % PROCESSES :: PROCESSES]
    return itertools.cycle(random.sample(own, len(own)))


_ports = _in_any_order()
