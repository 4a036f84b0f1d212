"""How many connections one client's address may have open at a time, requests and WebSockets alike.

A connection holds a place from its start to its end; one that found none takes one that has become
free when its request comes. There is an entry for each place that is held and for nothing else, so
strangers cannot fill the tables beyond the connections they have.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from longwire.asgi import Address
from longwire.server.trusted import parse_host


class AddressLimit:
    """The places of all addresses."""

    __slots__ = ("_counts", "_holders", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[bytes, int] = {}
        self._holders: dict[object, bytes] = {}  # connection: its address

    def __len__(self) -> int:
        """Return how many addresses have a place."""
        return len(self._counts)

    def take(self, connection: object, client: Address | None) -> bool:
        """Give the connection a place unless it has one; return whether it has one now.

        A client without an address, at the other end of a unix socket, needs none.
        """
        if client is None or connection in self._holders:
            return True
        key = _key(client[0])
        count = self._counts.get(key, 0)
        if count >= self._limit:
            return False
        self._counts[key] = count + 1
        self._holders[connection] = key
        return True

    def move(self, connection: object, successor: object) -> None:
        """Let the successor have the connection's place, if it has one."""
        key = self._holders.pop(connection, None)
        if key is not None:
            self._holders[successor] = key

    def release(self, connection: object) -> None:
        """Free the connection's place. Idempotent."""
        key = self._holders.pop(connection, None)
        if key is None:
            return
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


def _key(host: str) -> bytes:
    """Return what counts as one address: of IPv6 the network, in which a host has any it likes."""
    address = parse_host(host.partition("%")[0])
    if address is None:
        return host.encode()
    return address.packed[:8] if isinstance(address, IPv6Address) else address.packed
