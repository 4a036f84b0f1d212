"""What the server can do beyond ASGI's core, as it says in the scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longwire.asgi import Scope


def extensions(scope: Scope) -> Mapping[str, Any]:
    """Return the server's extensions by their names; some servers leave the key out, or None."""
    found: Mapping[str, Any] = scope.get("extensions") or {}
    return found


def can_deny(scope: Scope) -> bool:
    """Return whether a handshake can be answered with an HTTP response of our own."""
    return "websocket.http.response" in extensions(scope)
