"""Close codes, and which of them may travel in a close frame (RFC 6455 section 7.4)."""

from __future__ import annotations

from longwire.errors import LocalProtocolError

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS_RECEIVED = 1005  # never sent: the close frame had no code
ABNORMAL_CLOSURE = 1006  # never sent: there was no close frame
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
MESSAGE_TOO_BIG = 1009
MANDATORY_EXTENSION = 1010  # only a client sends it
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
BAD_GATEWAY = 1014

MAX_REASON_BYTES = 123
"""A control frame carries 125 bytes, two of which are the code (RFC 6455 section 5.5)."""


def is_receivable(code: int) -> bool:
    """Return whether a peer's close frame may carry the code."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def check_sendable(code: int, is_client: bool) -> None:
    """Raise LocalProtocolError unless this side may send the code."""
    if not isinstance(code, int) or isinstance(code, bool):
        raise LocalProtocolError(f"a close code is an int; got {code!r}")
    if not is_receivable(code) or (code == MANDATORY_EXTENSION and not is_client):
        raise LocalProtocolError(
            f"close code {code} may not be sent; "
            "use 1000-1003, 1007-1009, 1011-1014 or 3000-4999 (RFC 6455 section 7.4)"
        )


def cut_reason(reason: str) -> bytes:
    """Return the reason in UTF-8, cut between characters to what a close frame can carry."""
    if not isinstance(reason, str):
        raise LocalProtocolError(f"a close reason is a str; got {type(reason).__name__}")
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) <= MAX_REASON_BYTES:
        return encoded
    return encoded[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
