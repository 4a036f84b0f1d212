"""Places in a text: UTF-16 units in browsers and Yjs, UTF-8 in pycrdt, characters in Python."""

from __future__ import annotations

from collections.abc import Iterable

from longwire.errors import InvalidOperation


def utf16_length(text: str) -> int:
    """Return the length that JavaScript gives the text."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def index_at(text: str, offset: int) -> int:
    """Return the index of the character at an offset in UTF-16.

    Raises InvalidOperation behind the text's end, and between the halves of a character.
    """
    if text.isascii():
        if offset > len(text):
            raise InvalidOperation(f"{offset} is behind the end of the text, {len(text)}")
        return offset
    units = text.encode("utf-16-le")
    if 2 * offset > len(units):
        raise InvalidOperation(f"{offset} is behind the end of the text, {len(units) // 2}")
    try:
        return len(units[: 2 * offset].decode("utf-16-le"))
    except UnicodeDecodeError:
        raise InvalidOperation(f"{offset} is inside a surrogate pair") from None


def utf8_offsets(text: str, offsets: Iterable[int]) -> list[int]:
    """Return for offsets in UTF-16, none less than the one before, those in UTF-8.

    Raises as index_at() does.
    """
    found = []
    units = text.encode("utf-16-le")
    before = place = 0
    for offset in offsets:
        if 2 * offset > len(units):
            raise InvalidOperation(f"{offset} is behind the end of the text, {len(units) // 2}")
        try:
            place += len(units[2 * before : 2 * offset].decode("utf-16-le").encode())
        except UnicodeDecodeError:
            raise InvalidOperation(f"{offset} is inside a surrogate pair") from None
        before = offset
        found.append(place)
    return found
