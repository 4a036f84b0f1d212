"""UTF-8 checked as it arrives, compiled and interpreted, against Python's own decoder."""

from __future__ import annotations

import codecs
import contextlib
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine.twins import both

INVALID = {
    "lone continuation": (b"\x80", 0),
    "never a byte": (b"\xff", 0),
    "overlong slash": (b"\xc0\xaf", 0),
    "overlong in three": (b"\xe0\x80\x80", 1),
    "overlong in four": (b"\xf0\x80\x80\x80", 1),
    "surrogate": (b"\xed\xa0\x80", 1),
    "above U+10FFFF": (b"\xf4\x90\x80\x80", 1),
    "five bytes": (b"\xf8\x88\x80\x80\x80", 0),
    "cut off by ASCII": (b"\xe2\x82A", 2),
}


@both("utf8")
@pytest.mark.parametrize("before", [b"", b"x" * 7, b"x" * 16, "κόσμε".encode()])
@pytest.mark.parametrize(("bad", "at"), INVALID.values(), ids=INVALID)
def test_the_first_bad_byte_is_enough(
    module: ModuleType, before: bytes, bad: bytes, at: int
) -> None:
    buffer = bytearray(before)
    checked = module.checked_until(buffer, 0)
    for byte in bad[:at]:
        buffer.append(byte)
        checked = module.checked_until(buffer, checked)
    buffer.append(bad[at])
    with pytest.raises(UnicodeDecodeError):
        module.checked_until(buffer, checked)


@both("utf8")
@given(text=st.text(max_size=60))
def test_only_the_start_of_a_character_stays_unchecked(module: ModuleType, text: str) -> None:
    buffer = bytearray()
    checked = 0
    for byte in text.encode():
        buffer.append(byte)
        checked = module.checked_until(buffer, checked)
        assert len(buffer) - checked <= 3
    assert checked == len(buffer)


def begins_a_character(pending: bytes) -> bool:
    """Whether some continuation makes a character of it."""
    for first in (b"\x80", b"\x90", b"\xa0"):  # any other is as good as one of these
        for rest in (first, first + b"\x80", first + b"\x80\x80"):
            with contextlib.suppress(UnicodeDecodeError):
                (pending + rest).decode()
                return True
    return not pending


@both("utf8")
@given(data=st.binary(max_size=40), more=st.binary(max_size=40))
@example(data=b"", more=b"\xed\xa0")
@example(data=b"\xed", more=b"\x9f")
def test_as_the_decoder_sees_it(module: ModuleType, data: bytes, more: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    buffer = bytearray()
    checked = 0
    for part in (data, more):
        buffer += part
        try:
            decoder.decode(part)
            is_valid = begins_a_character(decoder.getstate()[0])  # it takes half a surrogate
        except UnicodeDecodeError:
            is_valid = False
        if not is_valid:
            with pytest.raises(UnicodeDecodeError):
                module.checked_until(buffer, checked)
            return
        checked = module.checked_until(buffer, checked)


@both("utf8")
def test_characters_across_the_windows_of_the_check(module: ModuleType) -> None:
    window: int = module.WINDOW
    for shift in range(4):
        buffer = bytearray(b"x" * shift + "😀".encode() * (window // 2))
        assert module.checked_until(buffer, 0) == len(buffer)
        buffer[-1] = 0x41
        with pytest.raises(UnicodeDecodeError):
            module.checked_until(buffer, 0)
        buffer.pop()
        assert module.checked_until(buffer, 0) == len(buffer) - 3
