"""Frame headers read and written (RFC 6455 section 5.2)."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.engine.frame_reader import FrameHeader
from longwire.engine.frames import FIN, TEXT
from longwire.errors import RemoteProtocolError
from tests.engine.twins import both
from tests.wire import BINARY, CLOSE, CONT, PING, PONG, frame

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 1 << 32, (1 << 63) - 1]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("mask", [None, b"\x01\x02\x03\xff"], ids=["unmasked", "masked"])
def test_every_form_of_length(length: int, mask: bytes | None) -> None:
    wire = frame(BINARY, length=length, fin=False, mask=mask)
    header = FrameHeader()
    for size in range(len(wire)):
        assert header.read(b"xy" + wire[:size], 2) == 0, "the header is not all there"
    assert header.read(b"xy" + wire + b"z", 2) == len(wire)
    assert (header.first, header.length) == (BINARY, length)
    assert header.is_masked == (mask is not None)
    assert header.key == int.from_bytes(mask or b"", "little")


@pytest.mark.parametrize(
    ("wire", "cause"),
    [
        (frame(TEXT, b"x" * 125, form=2), "shortest form"),
        (frame(TEXT, b"", form=2), "shortest form"),
        (frame(TEXT, b"x" * 300, form=8), "shortest form"),
        (frame(TEXT, length=65535, form=8), "shortest form"),
        (frame(TEXT, length=1 << 63), "top bit"),
        (frame(TEXT, length=(1 << 64) - 1), "top bit"),
        (frame(PING, b"x" * 126), "longer than 125"),
        (frame(CLOSE, length=65536), "longer than 125"),
        (frame(PONG, b"", form=2), "longer than 125"),
        (frame(PING, b"", fin=False), "fragmented control"),
        (frame(CLOSE, b"", fin=False), "fragmented control"),
    ],
)
def test_headers_no_frame_may_have(wire: bytes, cause: str) -> None:
    with pytest.raises(RemoteProtocolError, match=cause) as caught:
        FrameHeader().read(wire, 0)
    assert caught.value.code == 1002


def test_a_header_is_read_again_and_again() -> None:
    header = FrameHeader()
    header.read(frame(TEXT, b"x"), 0)
    header.read(frame(CONT, b"xyz", mask=None, fin=False), 0)
    assert (header.first, header.length, header.is_masked, header.key) == (CONT, 3, False, 0)


PAYLOAD_SIZES = [0, 1, 125, 126, 65535, 65536]


@both("frame_writer")
@pytest.mark.parametrize("size", PAYLOAD_SIZES)
def test_frames_written(module: ModuleType, size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    out = bytearray(b"before")
    module.write_frame(out, FIN | BINARY, payload)
    module.write_masked_frame(
        out, FIN | PING, payload, int.from_bytes(b"\x09\x08\x07\xf6", "little")
    )
    module.write_text_frame(out, TEXT, "x" * size)
    assert out == b"before" + frame(BINARY, payload, mask=None) + frame(
        PING, payload, mask=b"\x09\x08\x07\xf6"
    ) + frame(TEXT, b"x" * size, fin=False, mask=None)
    assert out.endswith(module.text_frame(TEXT, "x" * size))


@both("frame_writer")
@given(text=st.text(max_size=200))
def test_text_written(module: ModuleType, text: str) -> None:
    out = bytearray()
    module.write_text_frame(out, FIN | TEXT, text)
    assert module.text_frame(FIN | TEXT, text) == out
    assert out == frame(TEXT, text.encode(), mask=None)


@both("frame_writer")
def test_lone_surrogates_are_not_written(module: ModuleType) -> None:
    out = bytearray(b"before")
    with pytest.raises(UnicodeEncodeError):
        module.write_text_frame(out, FIN | TEXT, "x\ud800")
    with pytest.raises(UnicodeEncodeError):
        module.text_frame(FIN | TEXT, "x\ud800")
    assert out == b"before"
