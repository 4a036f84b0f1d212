"""The scope of a test's handshake, as a server would have made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2

from longwire.asgi import SPEC_VERSION, Header, Scope
from longwire.toolkit.guards.origins import DEFAULT_PORTS

Params = httpx2.QueryParams | Mapping[str, Any] | list[tuple[str, Any]] | str
"""A query as httpx2 takes it."""


def handshake_url(base_url: httpx2.URL, url: str, params: httpx2.QueryParams) -> str:
    """Return the ws or wss URL of a path, or of a whole URL, with `params` behind its query."""
    joined = str(base_url.join(url)) if base_url.host else url
    if params:  # or a query that is there already would be written anew
        joined = str(httpx2.URL(joined).copy_merge_params(params))
    scheme, colon, rest = joined.partition("://")
    if not colon:
        raise ValueError(f"a WebSocket's URL is a path or ws://host/path; got {url!r}")
    return {"http": "ws", "https": "wss"}.get(scheme, scheme) + colon + rest


def handshake_headers(
    url: str, headers: Mapping[str, str], cookies: Mapping[str, str], subprotocols: Sequence[str]
) -> list[Header]:
    """Return the headers of the upgrade request, names in lower case."""
    fields = {
        "host": urlsplit(url).netloc,
        "upgrade": "websocket",
        "connection": "upgrade",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    if subprotocols:
        fields["sec-websocket-protocol"] = ", ".join(subprotocols)
    if cookies:
        fields["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    fields.update({name.lower(): value for name, value in headers.items()})
    return [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]


def websocket_scope(
    url: str,
    headers: list[Header],
    subprotocols: Sequence[str],
    *,
    client: tuple[str, int] = ("testclient", 50000),
    root_path: str = "",
    state: Mapping[str, Any] | None = None,
) -> Scope:
    """Return the ASGI scope (spec 2.5) for a ws or wss URL."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
        "http_version": "1.1",
        "scheme": parts.scheme,
        "path": root_path + unquote(path),
        "raw_path": (root_path + path).encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": root_path,
        "headers": headers,
        "client": client,
        "server": (parts.hostname or "testserver", parts.port or DEFAULT_PORTS[parts.scheme]),
        "subprotocols": list(subprotocols),
        "state": dict(state or {}),
        "extensions": {"websocket.http.response": {}, "longwire.compression": {}},
    }
