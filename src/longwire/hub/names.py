"""What may be the name of a room, of a user or of a key, and what a close code."""

from __future__ import annotations

from longwire.asgi import is_sendable_code
from longwire.errors import InvalidRoom

MAX_BYTES = 200
"""Of a name in UTF-8; brokers build keys and subjects of it, and theirs are bounded."""

USER_PREFIX = "@"
"""Begins the rooms that are users' own: no other room's name begins so."""


MAX_REASON_BYTES = 123
"""Of a close frame's reason: its payload has 125 bytes, two of them the code (RFC 6455, 5.5)."""


def check_room(name: object) -> str:
    """Return the name if it is one of a room; InvalidRoom says what it should be.

    A str of 1 to 200 bytes in UTF-8, of printable characters without blanks, that does not begin
    with `@`. Names are compared as they are: `Lobby` is not `lobby`.
    """
    if isinstance(name, str) and not name.startswith(USER_PREFIX):
        return _check(name, "a room's name")
    if isinstance(name, str):
        raise InvalidRoom(f"a room's name does not begin with {USER_PREFIX!r}; got {name[:80]!r}")
    raise InvalidRoom(f"a room's name is a str; got {type(name).__name__}")


def room_of_user(user: object) -> str:
    """Return the room that all connections of a user are in; InvalidRoom if it is no name."""
    if not isinstance(user, str):
        raise InvalidRoom(f"a user is a str; got {type(user).__name__}")
    return USER_PREFIX + _check(user, "a user")


def check_key(key: str | None) -> str | None:
    """Return what a message is the latest value of; ValueError for what is no such name."""
    if key is None:
        return None
    if not (isinstance(key, str) and 0 < len(key) <= 200):
        raise ValueError(f"a key is a str of 1 to 200 characters; got {str(key)[:80]!r}")
    key.encode()  # a lone surrogate is a UnicodeEncodeError here, not on its way to the broker
    return key


def check_close_code(code: int) -> None:
    """Raise ValueError for a code that an application may not send (RFC 6455 section 7.4)."""
    if not is_sendable_code(code):
        raise ValueError(
            f"close code {code!r} may not be sent; use 1000-1003, 1007-1009, 1011-1014 or 3000-4999"
        )


def as_reason(reason: str) -> str:
    """Return the reason as far as a close frame carries it; UnicodeEncodeError for surrogates."""
    encoded = reason.encode()
    if len(encoded) <= MAX_REASON_BYTES:
        return reason
    return encoded[:MAX_REASON_BYTES].decode(errors="ignore")


def _check(name: str, what: str) -> str:
    # str.isprintable() is False for control characters, for surrogates and for blanks but " ".
    if name and name.isprintable() and " " not in name and len(name.encode()) <= MAX_BYTES:
        return name
    raise InvalidRoom(
        f"{what} is 1 to {MAX_BYTES} bytes of printable characters without blanks; "
        f"got {name[:80]!r}"
    )
