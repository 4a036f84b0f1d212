"""Metric families: added up over processes, and the same behind a wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.server.families import (
    Family,
    Kind,
    Sample,
    counter,
    decode,
    encode,
    gauge,
    histogram,
    lasting,
    merged,
)

A, B = (("kind", "a"),), (("kind", "b"),)


def test_series_of_the_same_labels_add_up() -> None:
    one = counter("c", "C.", (A, 1), (B, 2))
    other = counter("c", "C.", (B, 40), ((), 3))
    assert merged([one, other]) == [counter("c", "C.", (A, 1), (B, 42), ((), 3))]


def test_histograms_add_up() -> None:
    one = histogram("h", "H.", [0.1, 1.0], [1, 0, 2], 7.5)
    other = histogram("h", "H.", [0.1, 1.0], [0, 3, 0], 1.25)
    assert one.samples[:4] == (
        Sample("_bucket", (("le", "0.1"),), 1),
        Sample("_bucket", (("le", "1.0"),), 1),
        Sample("_bucket", (("le", "+Inf"),), 3),
        Sample("_count", (), 3),
    )
    assert merged([one, other]) == [histogram("h", "H.", [0.1, 1.0], [1, 3, 2], 8.75)]


def test_of_a_maximum_there_is_one() -> None:
    families = [gauge("g", "G.", ((), value), is_maximum=True) for value in (3, 9, 4)]
    assert merged(families) == [families[1]]


def test_a_family_whose_kind_has_changed_is_left_out() -> None:
    now, before = gauge("x", "X.", ((), 1)), counter("x", "X.", ((), 5))
    assert merged([now, before]) == [now]


def test_gauges_end_with_their_process() -> None:
    families = [gauge("g", "", ((), 1)), counter("c", "", ((), 1)), histogram("h", "", [], [1], 1)]
    assert [family.name for family in lasting(families)] == ["c", "h"]


texts = st.text(max_size=8)
labels = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
samples = st.builds(Sample, texts, labels, st.floats(allow_nan=False) | st.integers())
families = st.builds(
    Family,
    name=texts,
    help=texts,
    kind=st.sampled_from(Kind),
    samples=st.lists(samples, max_size=4).map(tuple),
    is_maximum=st.booleans(),
)


@given(st.lists(families, max_size=4))
def test_they_come_back_from_the_wire(given_ones: list[Family]) -> None:
    assert decode(encode(given_ones)) == given_ones


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"1", b"[1]", b"[[]]", b'[["n","h","other",[],false]]', b"\xff"]
    + [b'[["n","h","gauge",[%s],false]]' % s for s in (b"1", b'["",[],"x"]', b'["","ab",1]')],
)
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="no metric families"):
        decode(data)
