"""What a trusted proxy's headers say of its client: X-Forwarded-For and X-Forwarded-Proto.

Each proxy adds the address that it saw, on the right; what stands left of a stranger's address is
the stranger's own invention.
"""

from __future__ import annotations

from collections.abc import Iterable

from longwire.asgi import Address, Header
from longwire.server.trusted import TrustedProxies, parse_host

MAX_HOPS = 32
"""Entries looked at: nobody stands behind more proxies, and a header may hold ten thousand."""

SECURE = {b"https": True, b"wss": True, b"http": False, b"ws": False}


def forwarded(
    headers: Iterable[Header], trusted: TrustedProxies
) -> tuple[Address | None, bool | None]:
    """Return the client, and whether it came over TLS; None for what is not said, or no good."""
    hops: list[bytes] = []
    is_secure = None
    for name, value in headers:
        if name == b"x-forwarded-for":
            hops.append(value)
        elif name == b"x-forwarded-proto":
            is_secure = SECURE.get(value.lower())
    return (_client(b",".join(hops), trusted) if hops else None), is_secure


def _client(hops: bytes, trusted: TrustedProxies) -> Address | None:
    """Return the rightmost address that is no trusted proxy's, or the leftmost if all are."""
    text = hops.decode("latin-1")
    if trusted.is_everyone:
        return _parse(text.partition(",")[0])
    found = None
    for entry in reversed(text.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        found = _parse(entry)
        if found is None or not trusted.trusts(parse_host(found[0])):
            break
    return found


def _parse(entry: str) -> Address | None:
    """Return address and port, 0 without one; None for names, "unknown", and all that is wrong."""
    entry = entry.strip(" \t")
    port = "0"
    if entry.startswith("["):
        entry, bracket, rest = entry[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:] or "0"
    elif entry.count(":") == 1:
        entry, _, port = entry.partition(":")
    host = parse_host(entry)
    if host is None or not (port.isascii() and port.isdecimal()) or len(port) > 5:
        return None
    return (str(host), int(port)) if int(port) <= 65535 else None
