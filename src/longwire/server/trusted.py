"""Whose word is taken on where a connection comes from: proxies by address, by network, or all."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from longwire.errors import ConfigError

Host = ipaddress.IPv4Address | ipaddress.IPv6Address

EVERYONE = "*"
UNIX = "unix"
"""The name of whoever connects through our unix socket: such a peer has no address."""

BY_DEFAULT = "127.0.0.1,::1"


MAX_REMEMBERED = 4096
"""Addresses of sockets, all of them short, whose answer is kept: a proxy connects again and again,
and to parse its address takes longer than the whole of what is done with it."""


class TrustedProxies:
    """The proxies of one configuration."""

    __slots__ = ("_hosts", "_networks", "_trusts_address", "is_everyone", "is_unix")

    def __init__(self, names: str | Sequence[str]) -> None:
        """Take a list, or its text with commas; ConfigError names the entry that is no good."""
        entries = names.split(",") if isinstance(names, str) else names
        stripped = {str(entry).strip() for entry in entries} - {""}
        self.is_everyone = EVERYONE in stripped
        self.is_unix = self.is_everyone or UNIX in stripped
        self._hosts: set[Host] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in sorted(stripped - {EVERYONE, UNIX}):
            self._add(entry)
        self._trusts_address = lru_cache(MAX_REMEMBERED)(self._parse_and_trust)

    def _add(self, entry: str) -> None:
        try:
            network = ipaddress.ip_network(entry)
        except ValueError as error:
            raise ConfigError(
                f"--forwarded-allow-ips takes addresses, networks, 'unix' and '*': {error}"
            ) from None
        if "/" in entry:
            self._networks.append(network)
        else:
            self._hosts.add(plain_host(network.network_address))

    def trusts(self, host: Host | None) -> bool:
        """Return whether a proxy at this address, None for a unix socket's peer, is believed."""
        if host is None:
            return self.is_unix
        return (
            self.is_everyone
            or host in self._hosts
            or any(host in network for network in self._networks)
        )

    def trusts_peer(self, client: tuple[str, int] | None) -> bool:
        """The same for an address as a socket has it, perhaps with the interface behind a %."""
        if client is None:
            return self.is_unix
        return self._trusts_address(client[0])

    def _parse_and_trust(self, text: str) -> bool:
        host = parse_host(text.partition("%")[0])
        return host is not None and self.trusts(host)


def parse_host(text: str) -> Host | None:
    """Return the address that the text is, None if it is none.

    Without an interface behind a %: that may be any text, and a header is a stranger's.
    """
    if "%" in text:
        return None
    try:
        return plain_host(ipaddress.ip_address(text))
    except ValueError:
        return None


def plain_host(host: Host) -> Host:
    """Return IPv4 as such, also from a socket of both families (::ffff:192.0.2.1)."""
    return (host.ipv4_mapped or host) if isinstance(host, ipaddress.IPv6Address) else host
