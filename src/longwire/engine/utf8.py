"""UTF-8 checked as it arrives (RFC 6455 section 8.1): an error is found at its first byte."""

from __future__ import annotations

import codecs

WINDOW = 64 * 1024
"""Bytes checked at a time: what is decoded only to be checked may take four times as many."""


def checked_until(buffer: bytearray, start: int) -> int:
    """Check buffer[start:], and return where the next check starts: behind whole characters.

    Raises UnicodeDecodeError at the first byte that no continuation could make valid. What stays
    unchecked is the beginning of one character, at most three bytes, so byte-by-byte input costs
    no more than it brings. The compiled twin in utf8.pyx passes over ASCII in words.
    """
    with memoryview(buffer) as view:
        while size := codecs.utf_8_decode(view[start : start + WINDOW], "strict", False)[1]:
            start += size
    if len(buffer) - start == 2 and buffer[start] == 0xED and buffer[start + 1] >= 0xA0:
        # The decoder waits for the third byte, but no surrogate is a character (RFC 3629 section 3)
        raise UnicodeDecodeError("utf-8", bytes(buffer[start:]), 0, 1, "surrogate")
    return start
