"""What the suite needs of a broker with a server, to see what nodes do while that is away."""

from __future__ import annotations

import asyncio
from typing import Any

from longwire.hub.broker import Broker
from longwire.hub.brokers import broker_at
from tests.contracts.settings import Setting


class Remote(Setting):
    """A setting with a server that can be killed, started again, and reached by way of a proxy."""

    timeout = 2.0
    """Seconds that a node waits for an answer at most."""

    server: Any
    """The process: it has kill() and start()."""

    port: int
    """Where the server is, on 127.0.0.1."""

    def url(self, port: int | None = None) -> str:
        """Return the address for broker_at(), with the setting's own rooms, heartbeat and timeout;
        by way of another port, if one is given."""
        raise NotImplementedError

    def url_elsewhere(self, port: int) -> str:
        """Return the address of a server there, with the user `alice` and the password `s3cret`."""
        raise NotImplementedError

    def broker(self) -> Broker:
        return broker_at(self.url())

    async def kill(self) -> None:
        """End the server at once."""
        await asyncio.to_thread(self.server.kill)

    async def start(self) -> None:
        """Start it again, on the same port."""
        await asyncio.to_thread(self.server.start)

    def scribble(self, room: str) -> None:
        """Write to whatever the broker reads, as a stranger with the same rights would."""
        raise NotImplementedError
