"""Masking and unmasking (RFC 6455 section 5.3), of a part of a read, from any point of the key.

`key` is the masking key's four bytes read as a little-endian integer; `offset` is how many bytes
of the frame came before. The compiled twin in masking.pyx works in words of eight bytes and
decodes ASCII in the same pass; the tests hold both to the same results.
"""

from __future__ import annotations


def mask(data: bytes, start: int, end: int, key: int, offset: int = 0) -> bytes:
    """Return data[start:end] masked, or unmasked: the operation is its own inverse."""
    size = end - start
    if not key:
        return data[start:end]
    four = key.to_bytes(4, "little")
    turned = four[offset & 3 :] + four[: offset & 3]
    pattern = (turned * (size // 4 + 1))[:size]
    masked = int.from_bytes(data[start:end], "little") ^ int.from_bytes(pattern, "little")
    return masked.to_bytes(size, "little")


def append_unmasked(
    buffer: bytearray, data: bytes, start: int, end: int, key: int, offset: int, left: int
) -> bool:
    """Add data[start:end], unmasked, to the buffer; return whether it is all ASCII.

    `left` bytes are announced to follow. The compiled twin makes room for those, as far as the
    buffer at most doubles: a length that is only announced costs nothing.
    """
    added = mask(data, start, end, key, offset)
    buffer += added
    return added.isascii()


def unmask_text(data: bytes, start: int, end: int, key: int) -> str:
    """Return data[start:end] unmasked and decoded; UnicodeDecodeError if it is not UTF-8."""
    return mask(data, start, end, key).decode()
