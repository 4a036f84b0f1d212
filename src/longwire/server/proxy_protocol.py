"""The PROXY protocol, versions 1 and 2: who a balancer forwards, said ahead of everything else.

No I/O here. The specification is HAProxy's proxy-protocol.txt; sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from longwire.asgi import Address
from longwire.server.trusted import plain_host

MAX_HEADER_BYTES = 4096
"""Addresses take 232 bytes at most; the rest is for what balancers add and we do not read."""

V1_PREFIX = b"PROXY "
V1_MIN_BYTES = len(b"PROXY UNKNOWN\r\n")
V1_MAX_BYTES = 107
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2_HEAD_BYTES = 16

LOCAL, PROXY = 0x20, 0x21  # version and command
UNSPECIFIED, TCP4, TCP6, UNIX_STREAM = 0x00, 0x11, 0x21, 0x31  # address family and transport
ADDRESSES_BYTES = {UNSPECIFIED: 0, TCP4: 12, TCP6: 36, UNIX_STREAM: 216}


class ProxyProtocolError(ValueError):
    """What came is no header of the PROXY protocol."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The two ends of the connection that is forwarded; None for unix sockets'."""

    client: Address | None
    server: Address | None


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A header: its length, and for whom it is; None if the connection is the proxy's own."""

    size: int
    forwarded: Forwarded | None


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the start of `data`; None while more of it is to come.

    Raises ProxyProtocolError at the first byte that shows it is none, and for one that is longer
    than MAX_HEADER_BYTES; so a caller need not keep more.
    """
    if data[: len(V2_SIGNATURE)] == V2_SIGNATURE:
        return _parse_v2(data)
    if data[: len(V1_PREFIX)] == V1_PREFIX:
        return _parse_v1(data)
    if V2_SIGNATURE.startswith(data) or V1_PREFIX.startswith(data):
        return None
    raise ProxyProtocolError("no PROXY protocol header")


def bytes_to_read(data: bytes) -> int:
    """Return how many bytes to read next so that none of them lies behind the header.

    `data` is what has been read so far, by which parse_proxy_header() returned None.
    """
    if len(data) < V1_MIN_BYTES:
        return V1_MIN_BYTES - len(data)
    if data[: len(V1_PREFIX)] == V1_PREFIX:
        return 1 if data.endswith(b"\r") else 2
    if len(data) < V2_HEAD_BYTES:
        return V2_HEAD_BYTES - len(data)
    return V2_HEAD_BYTES + int.from_bytes(data[14:16], "big") - len(data)


def _parse_v1(data: bytes) -> ProxyHeader | None:
    line, end, _ = data[:V1_MAX_BYTES].partition(b"\r\n")
    if not end:
        if len(data) >= V1_MAX_BYTES:
            raise ProxyProtocolError("PROXY line too long")
        return None
    size = len(line) + len(end)
    protocol, *fields = line[len(V1_PREFIX) :].split(b" ")
    if protocol == b"UNKNOWN":
        return ProxyHeader(size, None)
    if protocol not in (b"TCP4", b"TCP6") or len(fields) != 4:
        raise ProxyProtocolError("malformed PROXY line")
    version = 4 if protocol == b"TCP4" else 6
    source, destination = (_host(text, version) for text in fields[:2])
    source_port, destination_port = map(_port, fields[2:])
    return ProxyHeader(size, Forwarded((source, source_port), (destination, destination_port)))


def _host(text: bytes, version: int) -> str:
    try:
        host = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise ProxyProtocolError("malformed address in the PROXY line") from None
    if host.version != version or b"%" in text:
        raise ProxyProtocolError("malformed address in the PROXY line")
    return str(plain_host(host))


def _port(text: bytes) -> int:
    if not text.isdigit() or (text.startswith(b"0") and text != b"0") or int(text[:6]) > 65535:
        raise ProxyProtocolError("malformed port in the PROXY line")
    return int(text)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < V2_HEAD_BYTES:
        return None
    command, kind = data[12], data[13]
    size = V2_HEAD_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (LOCAL, PROXY):
        raise ProxyProtocolError("unknown version or command of the PROXY protocol")
    if size > MAX_HEADER_BYTES:
        raise ProxyProtocolError("PROXY header too long")
    if command == PROXY and kind not in ADDRESSES_BYTES:
        raise ProxyProtocolError("the PROXY header is of no stream")
    if command == PROXY and size < V2_HEAD_BYTES + ADDRESSES_BYTES[kind]:
        raise ProxyProtocolError("PROXY header too short for its addresses")
    if len(data) < size:
        return None
    if command == LOCAL or kind == UNSPECIFIED:
        return ProxyHeader(size, None)
    if kind == UNIX_STREAM:
        return ProxyHeader(size, Forwarded(None, None))
    return ProxyHeader(size, _binary_addresses(data[V2_HEAD_BYTES:], 4 if kind == TCP4 else 16))


def _binary_addresses(data: bytes, width: int) -> Forwarded:
    """Read two addresses of `width` bytes, then two ports."""
    source, destination = (
        str(plain_host(ipaddress.ip_address(data[start : start + width]))) for start in (0, width)
    )
    ports = data[2 * width : 2 * width + 4]
    return Forwarded(
        (source, int.from_bytes(ports[:2], "big")), (destination, int.from_bytes(ports[2:], "big"))
    )
