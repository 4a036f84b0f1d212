"""Masking (RFC 6455 section 5.3), compiled and interpreted, against the definition."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.twins import both

keys = st.integers(0, 2**32 - 1)
ascii_bytes = st.text(st.characters(max_codepoint=127), max_size=70).map(str.encode)


def definition(data: bytes, key: int, offset: int = 0) -> bytes:
    """RFC 6455 section 5.3, as it stands there."""
    octets = key.to_bytes(4, "little")
    return bytes(octet ^ octets[(i + offset) % 4] for i, octet in enumerate(data))


@both("masking")
@given(
    data=st.binary(max_size=70),
    key=keys,
    offset=st.integers(0, 9),
    ends=st.tuples(st.integers(0, 70), st.integers(0, 70)),
)
def test_mask(
    module: ModuleType, data: bytes, key: int, offset: int, ends: tuple[int, int]
) -> None:
    start, end = sorted(min(edge, len(data)) for edge in ends)
    assert module.mask(data, start, end, key, offset) == definition(data[start:end], key, offset)


@both("masking")
@given(before=st.binary(max_size=9), plain=st.binary(max_size=70) | ascii_bytes, key=keys)
def test_append_unmasked(module: ModuleType, before: bytes, plain: bytes, key: int) -> None:
    buffer = bytearray(before)
    data = definition(plain, key)
    for start in range(0, len(data), 7):
        end = min(start + 7, len(data))
        is_ascii = module.append_unmasked(buffer, data, start, end, key, start, 9)
        assert is_ascii == plain[start:end].isascii()
    assert buffer == before + plain


@both("masking")
@given(text=st.text(max_size=40), key=keys)
def test_unmask_text(module: ModuleType, text: str, key: int) -> None:
    masked = definition(text.encode(), key)
    assert module.unmask_text(b"ab" + masked + b"c", 2, 2 + len(masked), key) == text


@both("masking")
@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 1000])
def test_unmask_text_that_is_not_utf8(module: ModuleType, size: int) -> None:
    for place in {0, size // 2, size - 1}:
        data = bytearray(b"x" * size)
        data[place] = 0xFF
        with pytest.raises(UnicodeDecodeError):
            module.unmask_text(definition(bytes(data), 77), 0, size, 77)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 4), (3, 2)])
def test_compiled_masking_stays_inside_its_data(start: int, end: int) -> None:
    import longwire.engine.masking as masking

    if masking.__file__.endswith(".py"):
        pytest.skip("interpreted slices cannot leave their data")
    with pytest.raises(IndexError):
        masking.mask(b"abc", start, end, 1)
    with pytest.raises(IndexError):
        masking.append_unmasked(bytearray(), b"abc", start, end, 1, 0, 0)
    with pytest.raises(IndexError):
        masking.unmask_text(b"abc", start, end, 1)
