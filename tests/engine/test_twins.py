"""The compiled .pyx twins do what their .py files do."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.engine import frame_writer, masking, utf8
from tests.pure import SOURCE


def interpreted(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"interpreted_{name}", SOURCE / "engine" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pure_masking = interpreted("masking")
pure_utf8 = interpreted("utf8")
pure_writer = interpreted("frame_writer")

keys = st.integers(0, 2**32 - 1)
data = st.binary(max_size=70)


@given(data=data, key=keys, offset=st.integers(0, 9), start=st.integers(0, 70))
def test_mask(data: bytes, key: int, offset: int, start: int) -> None:
    start = min(start, len(data))
    arguments = (data, start, len(data), key, offset)
    expected = pure_masking.mask(*arguments)
    assert masking.mask(*arguments) == expected
    assert expected == bytes(
        byte ^ key.to_bytes(4, "little")[(i + offset) % 4] for i, byte in enumerate(data[start:])
    )
    one, other = bytearray(b"before"), bytearray(b"before")
    masking.append_unmasked(one, *arguments)
    pure_masking.append_unmasked(other, *arguments)
    assert one == other == b"before" + expected


@given(text=st.text(max_size=40), key=keys)
def test_unmask_text(text: str, key: int) -> None:
    masked = masking.mask(text.encode(), 0, len(text.encode()), key)
    for module in (masking, pure_masking):
        assert module.unmask_text(masked, 0, len(masked), key) == text


@given(data=data, key=keys)
def test_unmask_text_refuses_the_same(data: bytes, key: int) -> None:
    masked = masking.mask(data, 0, len(data), key)
    try:
        expected = data.decode()
    except UnicodeDecodeError:
        for module in (masking, pure_masking):
            with pytest.raises(UnicodeDecodeError):
                module.unmask_text(masked, 0, len(masked), key)
    else:
        assert masking.unmask_text(masked, 0, len(masked), key) == expected


@given(text=st.text(max_size=40), tail=st.binary(max_size=3), start=st.integers(0, 10))
def test_checked_until(text: str, tail: bytes, start: int) -> None:
    buffer = bytearray(b"\xff" * start + text.encode() + tail)
    outcomes = []
    for module in (utf8, pure_utf8):
        try:
            outcomes.append(module.checked_until(buffer, start))
        except UnicodeDecodeError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@given(text=st.text(max_size=200), key=keys, first=st.sampled_from([0x81, 0x82, 0xC1]))
def test_frames(text: str, key: int, first: int) -> None:
    for payload in (text.encode(), text.encode() * 400):
        outs = []
        for module in (frame_writer, pure_writer):
            out = bytearray()
            module.write_frame(out, first, payload)
            module.write_masked_frame(out, first, payload, key)
            module.write_text_frame(out, first, payload.decode())
            outs.append(out)
        assert outs[0] == outs[1]


@pytest.mark.parametrize("bounds", [(-1, 2), (0, 6), (4, 3)])
def test_bounds_are_checked(bounds: tuple[int, int]) -> None:
    if not masking.__file__.endswith(".so"):
        pytest.skip("slices of the interpreted twin cannot leave the data")
    with pytest.raises(IndexError):
        masking.mask(b"12345", *bounds, 1)
