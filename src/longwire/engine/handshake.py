"""The opening handshake (RFC 6455 section 4), both sides, on headers that are parsed already.

Headers come as an ASGI scope has them: pairs of bytes, names in lower case. A request that cannot
become a WebSocket raises HandshakeError with the HTTP status it deserves.
"""

from __future__ import annotations

import base64
import hashlib
from binascii import a2b_base64
from collections.abc import Iterable, Sequence

from longwire.engine.headers import is_field_value, is_token, split_list
from longwire.errors import HandshakeError, LocalProtocolError

Header = tuple[bytes, bytes]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = b"13"
KEY_BYTES = 16
KEY_CHARACTERS = 24  # of base64

OURS = frozenset((b"connection", b"upgrade", b"content-length", b"transfer-encoding"))
"""Response headers that are the handshake's own business, beside sec-websocket-*."""


class UpgradeRequest:
    """What a valid request asks for."""

    __slots__ = ("extensions", "key", "subprotocols")

    def __init__(self, key: bytes, subprotocols: list[str], extensions: str) -> None:
        self.key = key
        self.subprotocols = subprotocols  # in the client's order, without repetitions
        self.extensions = extensions  # all Sec-WebSocket-Extensions lines, joined


def accept_key(key: bytes) -> bytes:
    """Return Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())


def parse_upgrade(method: str, http_version: str, headers: Sequence[Header]) -> UpgradeRequest:
    """Check a request whose Upgrade header names websocket (RFC 6455 section 4.2.1)."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in FIELDS:
            fields.setdefault(name, []).append(value)
    if method != "GET":
        raise HandshakeError(405, "a WebSocket is opened with GET", [(b"allow", b"GET")])
    if http_version != "1.1":
        raise HandshakeError(400, "a WebSocket needs HTTP/1.1")
    _check_upgrade(fields)
    versions = fields.get(b"sec-websocket-version", [])
    if versions != [VERSION]:
        raise HandshakeError(
            400 if len(versions) > 1 else 426,
            "Sec-WebSocket-Version has to be 13, once",
            [(b"sec-websocket-version", VERSION)],
        )
    keys = fields.get(b"sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HandshakeError(400, "Sec-WebSocket-Key has to be 16 bytes in base64, once")
    return UpgradeRequest(
        keys[0],
        _subprotocols(fields.get(b"sec-websocket-protocol", [])),
        b",".join(fields.get(b"sec-websocket-extensions", [])).decode("latin-1"),
    )


def _check_upgrade(fields: dict[bytes, list[bytes]]) -> None:
    if len(fields.get(b"host", [])) != 1:
        raise HandshakeError(400, "one Host header is needed")
    if b"websocket" not in _tokens(fields.get(b"upgrade", [])):
        raise HandshakeError(400, "the Upgrade header has to name websocket")
    if b"upgrade" not in _tokens(fields.get(b"connection", [])):
        raise HandshakeError(400, "the Connection header has to name upgrade")
    # A body would be read as frames by one side and as a request by another.
    lengths = fields.get(b"content-length", [])
    if b"transfer-encoding" in fields or any(length != b"0" for length in lengths):
        raise HandshakeError(400, "a WebSocket request has no body")


FIELDS = frozenset(
    (
        b"host",
        b"upgrade",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"sec-websocket-version",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-extensions",
    )
)


def _tokens(values: list[bytes]) -> set[bytes]:
    return {token.strip(b" \t") for value in values for token in value.lower().split(b",")}


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == KEY_CHARACTERS and len(a2b_base64(key, strict_mode=True)) == KEY_BYTES
    except ValueError:
        return False


def _subprotocols(values: list[bytes]) -> list[str]:
    if not values:
        return []
    found = split_list(b",".join(values).decode("latin-1"))
    if not all(map(is_token, found)):
        raise HandshakeError(400, "Sec-WebSocket-Protocol is a list of tokens")
    return list(dict.fromkeys(found))


def upgrade_response(
    request: UpgradeRequest,
    *,
    subprotocol: str | None = None,
    extension: str | None = None,
    headers: Iterable[Header] = (),
    lines: bytes = b"",
) -> bytes:
    """Return the whole 101 response (RFC 6455 section 4.2.2).

    `lines` are headers as they are written, known to be good. Raises LocalProtocolError for a
    subprotocol the client did not offer, and for a header that is ours to write, or that would
    break the lines of the response.
    """
    parts = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: ",
        accept_key(request.key),
        b"\r\n",
        lines,
    ]
    if subprotocol is not None:
        if subprotocol not in request.subprotocols:
            raise LocalProtocolError(
                f"subprotocol {subprotocol!r} was not offered; the client offered "
                f"{request.subprotocols or 'none'}"
            )
        parts += (b"Sec-WebSocket-Protocol: ", subprotocol.encode("ascii"), b"\r\n")
    if extension is not None:
        parts += (b"Sec-WebSocket-Extensions: ", extension.encode("ascii"), b"\r\n")
    for name, value in headers:
        check_header(name, value)
        check_not_ours(name)
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def check_not_ours(name: bytes) -> None:
    """Raise LocalProtocolError for a header that the handshake itself writes."""
    if name.lower() in OURS or name.lower().startswith(b"sec-websocket-"):
        raise LocalProtocolError(f"header {name!r} is written by the handshake itself")


def check_header(name: bytes, value: bytes) -> None:
    """Raise LocalProtocolError unless the header can stand in a response."""
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        raise LocalProtocolError(f"a header is a pair of bytes; got {name!r}: {value!r}")
    if not is_token(name.decode("latin-1")):
        raise LocalProtocolError(f"a header's name is a token; got {name!r}")
    if not is_field_value(value):
        raise LocalProtocolError(f"header {name!r} has a line break or NUL in its value")


def upgrade_request(
    host: str,
    target: str,
    key: bytes,
    *,
    subprotocols: Sequence[str] = (),
    extensions: str | None = None,
    headers: Iterable[Header] = (),
) -> bytes:
    """Return a client's whole request; `key` is 16 fresh random bytes in base64.

    Raises LocalProtocolError for anything that would break the request's lines.
    """
    for what, text in (("host", host), ("target", target)):
        if not text.isascii() or not text.isprintable() or " " in text or not text:
            raise LocalProtocolError(f"a {what} is visible ASCII without spaces; got {text!r}")
    if not all(map(is_token, subprotocols)):
        raise LocalProtocolError(f"a subprotocol is a token; got {list(subprotocols)!r}")
    lines = [
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\n".encode("ascii"),
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Key: " + key + b"\r\n",
    ]
    if subprotocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}\r\n".encode("ascii"))
    if extensions is not None:
        lines.append(f"Sec-WebSocket-Extensions: {extensions}\r\n".encode("ascii"))
    for name, value in headers:
        check_header(name, value)
        lines.append(name + b": " + value + b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def check_response(
    status: int, headers: Sequence[Header], key: bytes, subprotocols: Sequence[str] = ()
) -> tuple[str | None, str]:
    """Check a server's answer; return the subprotocol and the extensions it chose.

    Raises HandshakeError with the status if it is no 101, or not an answer to `key`
    (RFC 6455 section 4.1).
    """
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    if status != 101:
        raise HandshakeError(status, f"the server answered with HTTP {status}", headers)
    if b"websocket" not in _tokens(fields.get(b"upgrade", [])) or b"upgrade" not in _tokens(
        fields.get(b"connection", [])
    ):
        raise HandshakeError(status, "the server's answer is no upgrade to websocket")
    if fields.get(b"sec-websocket-accept") != [accept_key(key)]:
        raise HandshakeError(status, "the server's Sec-WebSocket-Accept does not fit the key")
    chosen = fields.get(b"sec-websocket-protocol", [])
    if len(chosen) > 1 or any(value.decode("latin-1") not in subprotocols for value in chosen):
        raise HandshakeError(status, f"the server chose a subprotocol nobody offered: {chosen!r}")
    extensions = b",".join(fields.get(b"sec-websocket-extensions", [])).decode("latin-1")
    return (chosen[0].decode("latin-1") if chosen else None), extensions
