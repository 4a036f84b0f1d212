"""The frame on the wire (RFC 6455 section 5.2).

byte 0   FIN RSV1 RSV2 RSV3 opcode(4)
byte 1   MASK length(7): below 126, or 126 + 2 bytes, or 127 + 8 bytes, always the shortest
then     the masking key, 4 bytes, if MASK; then the payload
"""

from __future__ import annotations

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
RSV1 = 0x40
RSV23 = 0x30
OPCODE = 0x0F
CONTROL = 0x08  # the bit that all control opcodes have
MASKED = 0x80

MAX_CONTROL_PAYLOAD = 125
"""Bytes (RFC 6455 section 5.5)."""
