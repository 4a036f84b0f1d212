"""The brokers that the contract suite runs on, each in a setting of its own.

To hold another broker to the contract, write a Setting for it (a Remote if it has a server, so that
outages are tested too) and add it here; the suite runs on it from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.contracts.nats_server import nats_setting
from tests.contracts.redis_server import redis_setting
from tests.contracts.remote import Remote
from tests.contracts.settings import Setting, memory_setting

REMOTES: dict[str, Callable[[], AbstractAsyncContextManager[Remote]]] = {
    "redis": redis_setting,
    "nats": nats_setting,
}
"""The brokers with a server."""

SETTINGS: dict[str, Callable[[], AbstractAsyncContextManager[Setting]]] = {
    "memory": memory_setting,
    **REMOTES,
}
"""All of them."""
