"""How much a peer may ask of us, in bytes and in objects; one instance serves all connections."""

from __future__ import annotations

from dataclasses import dataclass

FREE_FRAGMENTS = 1024
"""Fragments of a message whatever their size: a stream of small flushes is legitimate."""

BYTES_PER_FRAGMENT = 16
"""Beyond those, one fragment for so many bytes of payload. A megabyte in 64-byte fragments passes;
a million empty continuation frames, which cost more to handle than to send, do not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_message_size` is in bytes, after inflation; 0 means no limit."""

    max_message_size: int = 16 * 1024 * 1024


DEFLATE_OVERHEAD = 64
"""Bytes by which the shortest messages may grow in deflate, beside the eighth that any may."""


def max_fragments(size: int) -> int:
    """Return how many fragments a message may have after `size` bytes of payload on the wire."""
    return FREE_FRAGMENTS + size // BYTES_PER_FRAGMENT


def max_deflated(size: int) -> int:
    """Return how long a message of `size` bytes may be on the wire when it is compressed.

    What does not compress grows, by 9 bits a byte at worst (RFC 1951 section 3.2.6). A stream of
    empty blocks inflates to nothing, so that only this bound ends it.
    """
    return size + size // 8 + DEFLATE_OVERHEAD
