"""Frames added to a growing buffer of what is to be sent (RFC 6455 section 5.2).

The compiled twin in frame_writer.pyx copies each payload once, straight into the buffer; the
tests hold both to the same bytes.
"""

from __future__ import annotations

from longwire.engine.masking import append_unmasked


def write_frame(out: bytearray, first: int, payload: bytes) -> None:
    """Add an unmasked frame; `first` is FIN, RSV bits and opcode."""
    _write_header(out, first, 0, len(payload))
    out += payload


def text_frame(first: int, text: str) -> bytes:
    """Return an unmasked frame of the text, as write_text_frame() would add it."""
    out = bytearray()
    write_text_frame(out, first, text)
    return bytes(out)


def write_masked_frame(out: bytearray, first: int, payload: bytes, key: int) -> None:
    """Add a frame masked with `key`, the four bytes as a little-endian integer."""
    _write_header(out, first, 0x80, len(payload))
    out += key.to_bytes(4, "little")
    append_unmasked(out, payload, 0, len(payload), key, 0, 0)


def write_text_frame(out: bytearray, first: int, text: str) -> None:
    """Add an unmasked frame of the text in UTF-8; UnicodeEncodeError for lone surrogates."""
    write_frame(out, first, text.encode())


def _write_header(out: bytearray, first: int, mask_bit: int, length: int) -> None:
    if length < 126:
        out += bytes((first, mask_bit | length))
    elif length < 65536:
        out += bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    else:
        out += bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")
