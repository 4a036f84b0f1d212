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


def max_fragments(size: int) -> int:
    """Return how many fragments a message may have after `size` bytes of payload."""
    return FREE_FRAGMENTS + size // BYTES_PER_FRAGMENT
