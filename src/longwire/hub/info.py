"""What a client may say of itself to the others: a JSON value, bounded in bytes and in depth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longwire.errors import MessageTooLarge
from longwire.hub.encoding import to_json

MAX_INFO = 4 * 1024
"""Bytes of a client's info in JSON: presence sends all of a room's to whoever asks."""

MAX_DEPTH = 64
"""Lists and objects inside each other. Versions of Python differ in what they read and write, from
under a thousand to ten thousand; what one node sends, each has to read."""


def check_info(info: Any) -> None:
    """Raise MessageTooLarge over a bound, TypeError or ValueError for what is no JSON."""
    try:
        size = len(to_json(info).encode())
        if size <= MAX_INFO and not is_too_deep(info):
            return
    except RecursionError:
        pass
    raise MessageTooLarge(
        f"a client's info has {MAX_INFO} bytes of JSON at most, and {MAX_DEPTH} levels"
    )


def is_too_deep(value: Any) -> bool:
    """Return whether the value has over MAX_DEPTH levels. It has to be finite, and may be deep."""
    level = _containers([value])
    for _ in range(MAX_DEPTH):
        level = _containers(child for parent in level for child in _children(parent))
    return bool(level)


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list, tuple))]


def _children(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container
