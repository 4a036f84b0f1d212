"""ASGI scopes made of a parsed request head; ten thousand idle sockets keep theirs in memory.

Header names, and values that many requests share, are interned, so that a scope costs its dict and
the few bytes that are its own. The table is bounded: strangers fill it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote_to_bytes

from longwire.asgi import SPEC_VERSION, Address, Header, Scope, Versions

VERSIONS: Versions = {"version": "3.0", "spec_version": SPEC_VERSION}

MAX_INTERNED = 4096
"""Entries; once it is full, other headers are kept by their own connections."""

MAX_INTERNED_BYTES = 128
"""Longer values are cookies and tokens: nobody shares them."""

NEVER_SHARED = frozenset((b"cookie", b"authorization", b"sec-websocket-key"))
"""Secrets and nonces: they would fill the table, and outlive their connection in it."""

VISIBLE = bytes(range(0x21, 0x7F))
"""ASCII without space and control characters: all that a URL consists of."""

_interned: dict[bytes, bytes] = {}


def intern_header(name: bytes, value: bytes) -> Header:
    """Return the header with its name in lower case, made of shared objects where there are."""
    name = name.lower()
    if name not in NEVER_SHARED:
        value = _intern(value)
    return _intern(name), value


def _intern(text: bytes) -> bytes:
    known = _interned.get(text)
    if known is not None:
        return known
    if len(_interned) < MAX_INTERNED and len(text) <= MAX_INTERNED_BYTES:
        _interned[text] = text
    return text


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query string of a request target; ValueError if it is none.

    Origin form, absolute form (as sent to proxies: its authority is not believed) and `*`
    (RFC 9112 section 3.2). Bytes outside visible ASCII are no part of any.
    """
    if target.translate(None, VISIBLE):
        raise ValueError("the request target has characters that no URL has")
    target = target.partition(b"#")[0]
    if not target.startswith(b"/"):
        scheme, colon, rest = target.partition(b"://")
        if colon and scheme.lower() in (b"http", b"https", b"ws", b"wss"):
            _, slash, path = rest.partition(b"/")
            target = slash + path or b"/"
        elif target != b"*":
            raise ValueError("the request target is neither a path nor a URL")
    path, _, query = target.partition(b"?")
    return path, query


def make_scope(
    kind: str,
    http_version: str,
    target: bytes,
    headers: list[Header],
    root_path: str,
) -> dict[str, Any]:
    """Return what a request's head says of its scope; ValueError for a target that is none."""
    raw_path, query = split_target(target)
    raw_path, query = _intern(raw_path), query or b""
    path = (
        unquote_to_bytes(raw_path).decode("utf-8", "replace")
        if b"%" in raw_path
        else (raw_path.decode("ascii"))
    )
    return {
        "type": kind,
        "asgi": VERSIONS,
        "http_version": http_version,
        "path": root_path + path,
        "raw_path": root_path.encode() + raw_path if root_path else raw_path,
        "query_string": query,
        "root_path": root_path,
        "headers": headers,
    }


def client_name(client: Address | None) -> str:
    """Return the client's address for the log."""
    return f"{client[0]}:{client[1]}" if client else "unix"


def path_name(scope: Scope) -> str:
    """Return the path for the log, quoted again: decoded it could hold a line of a log.

    Without the query string, in which tokens travel.
    """
    return quote(scope["path"], safe="/:@!$&'()*+,;=")
