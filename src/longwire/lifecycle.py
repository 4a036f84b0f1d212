"""The legal order of ASGI WebSocket messages (specification 2.5), as one table per direction.

    the application sends            and hears
    CONNECTING --accept-->  OPEN     CONNECTING --connect-->    OPEN
               --close--->  CLOSED   OPEN       --receive-->    OPEN
               --start--->  DENYING             --disconnect--> CLOSED
    DENYING    --body---->  DENYING, then CLOSED with the last body
    OPEN       --send---->  OPEN
               --close--->  CLOSED

The server, the toolkit and the test client walk the same tables; nobody keeps flags beside them.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from longwire.asgi import is_sendable_code
from longwire.errors import LifecycleError, LocalProtocolError


class State(Enum):
    """Where one direction of a WebSocket's ASGI conversation stands."""

    CONNECTING = "connecting"
    DENYING = "denying"
    OPEN = "open"
    CLOSED = "closed"


class Cause:
    """What a server gives as the reason where it ends a connection, or finds it ended."""

    REFUSED = "the handshake was refused"
    LOST = "connection lost"
    KEEPALIVE = "keepalive ping timeout"
    DRAIN = "server going away"
    LIFETIME = "maximum lifetime"
    ERROR = "internal error"


SENDS: Mapping[State, Mapping[str, State]] = {
    State.CONNECTING: {
        "websocket.accept": State.OPEN,
        "websocket.close": State.CLOSED,
        "websocket.http.response.start": State.DENYING,
    },
    State.DENYING: {"websocket.http.response.body": State.DENYING},
    State.OPEN: {"websocket.send": State.OPEN, "websocket.close": State.CLOSED},
    State.CLOSED: {},
}
"""What the application may send in each state, and the state that follows."""

RECEIVES: Mapping[State, Mapping[str, State]] = {
    State.CONNECTING: {"websocket.connect": State.OPEN, "websocket.disconnect": State.CLOSED},
    State.OPEN: {"websocket.receive": State.OPEN, "websocket.disconnect": State.CLOSED},
    # The end is told as often as it is asked for: receive() never hangs after it.
    State.CLOSED: {"websocket.disconnect": State.CLOSED},
}
"""What the application may hear in each state, and the state that follows."""


def after_send(state: State, message: Mapping[str, Any]) -> State:
    """Return the state after the application sent `message`; LifecycleError if it may not."""
    kind = message_type(message)
    following = SENDS[state].get(kind)
    if following is None:
        expected = " or ".join(repr(legal) for legal in SENDS[state]) or "nothing more"
        raise LifecycleError(
            f"the application sent {kind!r} while the WebSocket was {state.value}; "
            f"expected {expected}"
        )
    if following is State.DENYING and kind == "websocket.http.response.body":
        return State.DENYING if message.get("more_body", False) else State.CLOSED
    return following


def after_receive(state: State, message: Mapping[str, Any]) -> State:
    """Return the state after the application was told `message`; LifecycleError if it may not."""
    kind = message_type(message)
    following = RECEIVES.get(state, {}).get(kind)
    if following is None:
        raise LifecycleError(f"{kind!r} cannot be received while the WebSocket is {state.value}")
    return following


def message_type(message: Mapping[str, Any]) -> str:
    """Return the message's type; LifecycleError unless it is a mapping with a `type` string."""
    if not isinstance(message, Mapping):
        raise LifecycleError(
            f"an ASGI message is a dict with a 'type'; got {type(message).__name__}"
        )
    kind = message.get("type")
    if not isinstance(kind, str):
        raise LifecycleError(f"an ASGI message has a 'type' string; got keys {sorted(message)!r}")
    return kind


def message_data(message: Mapping[str, Any]) -> str | bytes:
    """Return what a `websocket.send` or `websocket.receive` carries: exactly one of text and bytes.

    An empty message is a message. Raises LifecycleError when both or neither is there, or when
    the value is not a str, respectively bytes.
    """
    text = message.get("text")
    data = message.get("bytes")
    if text is not None and data is None:
        if isinstance(text, str):
            return text
        raise LifecycleError(f"'text' is a str; got {type(text).__name__}: send it under 'bytes'?")
    if data is not None and text is None:
        if isinstance(data, bytes):
            return data
        if isinstance(data, (bytearray, memoryview)):
            return bytes(data)
        raise LifecycleError(f"'bytes' is bytes; got {type(data).__name__}: send it under 'text'?")
    found = "both" if text is not None else "neither"
    raise LifecycleError(f"a message has exactly one of 'text' and 'bytes'; got {found}")


# ---- what a server refuses to put on the wire -----------------------------------------------
# For servers without the engine, which has the same rules: it knows nothing of ASGI.

MAX_REASON_BYTES = 123
TOKEN_BYTES = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
HANDSHAKE_HEADERS = frozenset((b"connection", b"upgrade", b"content-length", b"transfer-encoding"))


def closing(message: Mapping[str, Any]) -> tuple[int, str]:
    """Return code and reason of a `websocket.close`, the reason cut to what a frame can carry.

    Raises LocalProtocolError for a code that an application may not send (RFC 6455 section 7.4),
    LifecycleError for the code None.
    """
    code, reason = message.get("code", 1000), message.get("reason") or ""
    if code is None:
        raise LifecycleError("a close code is an int; got None")
    if not isinstance(code, int) or isinstance(code, bool):
        raise LocalProtocolError(f"a close code is an int; got {code!r}")
    if not is_sendable_code(code):
        raise LocalProtocolError(
            f"close code {code} may not be sent; "
            "use 1000-1003, 1007-1009, 1011-1014 or 3000-4999 (RFC 6455 section 7.4)"
        )
    if not isinstance(reason, str):
        raise LocalProtocolError(f"a close reason is a str; got {type(reason).__name__}")
    return code, reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")


def acceptance(
    message: Mapping[str, Any], offered: Sequence[str]
) -> tuple[str | None, list[tuple[bytes, bytes]]]:
    """Return subprotocol and headers of a `websocket.accept`.

    Raises LocalProtocolError for a subprotocol that the client did not offer, and for a header
    that is the handshake's own, or that would break the lines of the response.
    """
    subprotocol = message.get("subprotocol")
    if subprotocol is not None and subprotocol not in offered:
        raise LocalProtocolError(
            f"subprotocol {subprotocol!r} was not offered; the client offered "
            f"{list(offered) or 'none'}"
        )
    headers: Iterable[tuple[bytes, bytes]] = message.get("headers") or ()
    return subprotocol, [_checked_header(name, value) for name, value in headers]


def _checked_header(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        raise LocalProtocolError(f"a header is a pair of bytes; got {name!r}: {value!r}")
    if not name or not TOKEN_BYTES.issuperset(name):
        raise LocalProtocolError(f"a header's name is a token; got {name!r}")
    if any(character in value for character in (b"\r", b"\n", b"\x00")):
        raise LocalProtocolError(f"header {name!r} has a line break or NUL in its value")
    if name.lower() in HANDSHAKE_HEADERS or name.lower().startswith(b"sec-websocket-"):
        raise LocalProtocolError(f"header {name!r} is written by the handshake itself")
    return name, value
