"""How a fuzzer's bytes become an input: a byte of switches, the sizes of reads, the wire.

byte 0        switches, what they mean is the target's
byte 1        in its low 4 bits, how many sizes follow
then          a size a byte, taken again and again; none of them: one read
then          the bytes on the wire
"""

from __future__ import annotations

import itertools


def split(data: bytes) -> tuple[int, list[bytes]]:
    """Return the switches and the reads."""
    switches, count = (*data[:2], 0, 0)[:2]
    count &= 15
    sizes, wire = data[2 : 2 + count], data[2 + count :]
    reads = []
    for size in itertools.cycle(sizes or b"\x00"):
        if not wire:
            break
        taken = size or len(wire)
        reads.append(wire[:taken])
        wire = wire[taken:]
    return switches, reads


def join(switches: int, sizes: bytes, wire: bytes) -> bytes:
    """Return the input that split() takes apart."""
    return bytes((switches, len(sizes))) + sizes + wire
