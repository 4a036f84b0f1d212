"""Places in a text: UTF-16 units in browsers and Yjs, UTF-8 in pycrdt, characters in Python."""

from __future__ import annotations

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


def utf8_offset(text: str, index: int) -> int:
    """Return the offset in UTF-8 of the character at the index."""
    return index if text.isascii() else len(text[:index].encode())


def index_at_utf8(text: str, offset: int) -> int:
    """Return the index of the character at an offset in UTF-8, which is one of pycrdt's."""
    return offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore"))
