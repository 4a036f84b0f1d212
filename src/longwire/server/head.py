"""A request's head (RFC 9112): what it must be before anything is made of it, and what it asks for.

Headers are pairs of bytes, names in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longwire.asgi import Header
from longwire.server.counters import Counters, Failure
from longwire.server.response import plain_response


class Refused(Exception):
    """The request cannot be served; the parser's callbacks raise it, data_received answers.

    `failure` says so if the request was for a WebSocket.
    """

    def __init__(
        self,
        status: int,
        text: str,
        headers: tuple[Header, ...] = (),
        failure: Failure | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers
        self.failure = failure

    def answer(self, default_headers: Sequence[Header], counters: Counters) -> bytes:
        """Return the whole response, and count it."""
        if self.failure is None:
            counters.count_response(self.status)
        else:
            counters.count_failure(self.failure, self.status)
        return plain_response(self.status, self.text, self.headers, default_headers)


HEAD_TOO_LARGE = (431, "Request Header Fields Too Large")
TARGET_TOO_LONG = (414, "URI Too Long")
TOO_MANY = (429, "Too Many Requests")
UNAVAILABLE = (503, "Service Unavailable")

HOST_CHARACTERS = frozenset(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~%!$&'()*+,;=:[]"
)
"""RFC 3986 section 3.2, without user information: a Host with anything else makes frameworks that
build a URL of it see another path."""


def check_head(method: bytes, http_version: str, headers: Iterable[Header]) -> None:
    """Raise Refused for a head that cannot be served, whatever it is for."""
    if http_version not in ("1.0", "1.1"):
        raise Refused(505, "HTTP Version Not Supported")
    if method == b"CONNECT":
        raise Refused(501, "Not Implemented: this is no proxy")
    hosts: list[bytes] = []
    codings: list[bytes] = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            codings.append(value.lower())
    if codings and codings != [b"chunked"]:
        # RFC 9112 section 6.1; the parser itself refuses what would be ambiguous.
        raise Refused(501, "Not Implemented: the only transfer coding is chunked")
    _check_host(http_version, hosts)


def _check_host(http_version: str, hosts: list[bytes]) -> None:
    """Raise Refused unless the Host header is there once, and a host (RFC 9112 section 3.2)."""
    if len(hosts) != 1 and (hosts or http_version != "1.0"):
        raise Refused(400, "Bad Request: one Host header is needed")
    if hosts and not HOST_CHARACTERS.issuperset(hosts[0]):
        raise Refused(400, "Bad Request: the Host header is no host")


def names_websocket(headers: Iterable[Header]) -> bool:
    """Return whether an Upgrade header names websocket."""
    upgrades = [value for name, value in headers if name == b"upgrade"]
    return b"websocket" in b",".join(upgrades).lower()


def is_faulty_chunked(http_version: str, headers: Iterable[Header]) -> bool:
    """Return whether a client of HTTP/1.0, which knows no codings, sent one (RFC 9112 6.1)."""
    return http_version == "1.0" and any(name == b"transfer-encoding" for name, _ in headers)


def awaits_continue(http_version: str, headers: Iterable[Header]) -> bool:
    """Return whether the client waits for 100 before it sends the body (RFC 9110 10.1.1)."""
    return http_version == "1.1" and any(
        name == b"expect" and value.lower() == b"100-continue" for name, value in headers
    )


def without_upgrade(
    method: bytes, target: bytes, http_version: str, headers: Iterable[Header]
) -> bytes:
    """Return the head as it would be of a client that asks for no other protocol."""
    lines = [b"%b %b HTTP/%b" % (method, target, http_version.encode("ascii"))]
    lines += [name + b": " + value for name, value in headers if name != b"upgrade"]
    return b"\r\n".join(lines) + b"\r\n\r\n"
