"""How values become messages: as JSON or the application's own way, and not too large."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from longwire.errors import MessageTooLarge
from longwire.hub.message import size_of


def to_json(value: Any) -> str:
    """Return the value as browsers read it; TypeError or ValueError if it is no JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Encoding:
    """`encode` is for messages that are neither str nor bytes, `max_size` is in bytes."""

    def __init__(self, encode: Callable[[Any], str | bytes] | None, max_size: int) -> None:
        self._encode = encode or to_json
        self._max_size = max_size

    def encode(self, message: Any) -> str | bytes:
        """Return a message as it is sent: as Hub.encode(), errors included."""
        data = message if isinstance(message, (str, bytes)) else self._encode(message)
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"`encode` returns a str or bytes; got {type(data).__name__}")
        size = size_of(data)
        if size > self._max_size:
            raise MessageTooLarge(f"a message has {self._max_size} bytes at most; got {size}")
        return data
