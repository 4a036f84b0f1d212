"""The wire of Yjs: what was encoded is decoded, and nothing else is."""

from __future__ import annotations

import contextlib

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.documents.reader import MAX_NUMBER
from longwire.documents.sync import (
    AwarenessEntry,
    AwarenessUpdate,
    PermissionDenied,
    QueryAwareness,
    SyncMessage,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    encode,
    number,
)
from longwire.errors import MalformedMessage

numbers = st.integers(0, MAX_NUMBER)
states = st.sampled_from([None, "{}", '{"user":{"name":"ada"}}', '{"cursor": null}'])
messages: st.SearchStrategy[SyncMessage] = st.one_of(
    st.dictionaries(numbers, numbers, max_size=5).map(SyncStep1),
    st.binary(max_size=300).map(SyncStep2),
    st.binary(max_size=300).map(Update),
    st.lists(st.builds(AwarenessEntry, numbers, numbers, states), max_size=4).map(
        lambda entries: AwarenessUpdate(tuple(entries))
    ),
    st.just(QueryAwareness()),
    st.text(max_size=20).map(PermissionDenied),
)


@given(messages)
def test_what_was_encoded_is_decoded(message: SyncMessage) -> None:
    assert decode(encode(message)) == message


@given(messages, st.data())
def test_a_message_that_is_cut_is_malformed(message: SyncMessage, data: st.DataObject) -> None:
    whole = encode(message)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MalformedMessage):
        decode(cut)


@given(messages, st.binary(min_size=1, max_size=3))
def test_bytes_behind_a_message_are_malformed(message: SyncMessage, more: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(encode(message) + more)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",  # no type
        b"\x00\x03\x00",  # no step
        b"\x00\x00\x02\xff\xff",  # a state vector of more clients than bytes
        b"\x00\x00\x05\x02\x07\x01\x07\x02",  # the same client twice
        b"\x00\x02" + b"\xff" * 9 + b"\x01",  # a length of 64 bits
        b"\x02\x01\x00",  # another kind of auth
        b"\x02\x00\x01\xff",  # no UTF-8
    ],
)
def test_malformed_messages_are_told_apart(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"\w"):
        decode(data)


@pytest.mark.parametrize("state", ["[]", "1", '"x"', "{", "NaN", '{"a":NaN}', "", "[" * 5000])
def test_an_awareness_state_is_an_object_or_null(state: str) -> None:
    text = state.encode()
    entry = number(1) + number(7) + number(1) + number(len(text)) + text
    with pytest.raises(MalformedMessage, match="awareness of client 7"):
        decode(b"\x01" + number(len(entry)) + entry)


def test_pycrdt_speaks_the_same_wire() -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=300)
    doc["text"] = pycrdt.Text("hello")
    step1 = decode(pycrdt.create_sync_message(doc))
    assert step1 == SyncStep1({300: 5})
    update = doc.get_update()
    assert decode(pycrdt.create_update_message(update)) == Update(update)
    assert encode(Update(update)) == pycrdt.create_update_message(update)
    reply = pycrdt.handle_sync_message(encode(SyncStep1({}))[1:], doc)
    assert reply is not None
    assert decode(reply) == SyncStep2(update)
