"""What is wrong with a message: each error says what was expected, what came, and what to do."""

from __future__ import annotations

import json
from typing import Any

from longwire.errors import LongwireError

SHOWN = 60
"""Characters of a message that an error shows: enough to recognise it, too few to flood a log."""


class UnexpectedMessage(LongwireError, RuntimeError, KeyError):
    """A text message came where a binary one was expected, or the other way round.

    A RuntimeError as the API promises, and a KeyError as starlette raises. The message is gone;
    the connection is open.
    """

    def __str__(self) -> str:  # KeyError's would quote it
        return str(self.args[0])


class InvalidJSON(LongwireError, json.JSONDecodeError):
    """The message is not JSON; a json.JSONDecodeError, and so a ValueError.

    The message is gone; the connection is open.
    """


class InvalidMessage(LongwireError, ValueError):
    """The message is JSON, and not of the type that was asked for. The connection is open."""


def unexpected(expected: str, got: str | bytes, call: str) -> UnexpectedMessage:
    """Return the error for a message of the wrong kind; `call` is what receives this one."""
    kind = "text" if isinstance(got, str) else "binary"
    return UnexpectedMessage(
        f"expected a {expected} message, got a {kind} one of {len(got)} "
        f"{'characters' if isinstance(got, str) else 'bytes'}; {call} receives those"
    )


def excerpt(value: Any) -> str:
    """Return the beginning of a value, as an error shows it."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
