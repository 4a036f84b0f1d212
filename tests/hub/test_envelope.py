"""Events as bytes: all of them come back, and what anybody else wrote is InvalidEnvelope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longwire.asgi import is_sendable_code
from longwire.hub import Client, Disconnect, Draft, Join, Leave, Position, Publication, Signal
from longwire.hub.brokers.envelope import (
    MAX_HEAD,
    InvalidEnvelope,
    client_from_json,
    decode,
    decode_client,
    encode_client,
    encode_draft,
    encode_signal,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
clients = st.builds(Client, texts.filter(bool), st.none() | texts, values)
drafts = st.builds(
    Draft,
    texts | st.binary(max_size=100),
    st.none() | clients,
    st.none() | texts,
    st.none() | texts,
)
codes = st.integers(1000, 4999).filter(is_sendable_code)
signals = (
    st.builds(Join, st.just("room"), clients)
    | st.builds(Leave, st.just("room"), clients)
    | st.builds(Disconnect, st.just("room"), codes, texts)
)
POSITION = Position(7, "epoch")


def published(draft: Draft) -> Publication:
    return Publication(
        "room", draft.data, draft.sender, draft.key, draft.exclude, POSITION, previous=5
    )


@given(drafts)
@example(Draft("", None))
@example(Draft(b"", None))
@example(Draft("\n{}\n", Client("\n", "\n", {"\n": "\n"}), "\n", "\n"))
def test_publications_come_back(draft: Draft) -> None:
    assert decode("room", encode_draft(draft), POSITION, 5) == published(draft)


@given(signals)
def test_signals_come_back(signal: Signal) -> None:
    assert decode("room", encode_signal(signal)) == signal


@given(clients)
def test_clients_come_back(client: Client) -> None:
    assert decode_client(encode_client(client)) == client


def check(envelope: bytes) -> None:
    """What is accepted is a whole event, and can be encoded again."""
    try:
        event = decode("room", envelope, POSITION, 5)
    except InvalidEnvelope:
        return
    if isinstance(event, Publication):
        again = encode_draft(Draft(event.data, event.sender, event.key, event.exclude))
    else:
        again = encode_signal(event)
    assert decode("room", again, POSITION, 5) == event


@given(st.binary(max_size=200))
def test_random_bytes(envelope: bytes) -> None:
    check(envelope)


@given(st.sampled_from([b"T", b"B", b"J", b"L", b"D", b"X", b""]), values, st.binary(max_size=20))
def test_random_heads(letter: bytes, head: Any, payload: bytes) -> None:
    check(letter + json.dumps(head).encode() + b"\n" + payload)


fields = st.dictionaries(
    st.sampled_from(["sender", "key", "exclude", "client", "code", "reason", "id", "user", "info"]),
    values | st.dictionaries(st.sampled_from(["id", "user", "info"]), values),
)


@given(st.sampled_from([b"T", b"B", b"J", b"L", b"D"]), fields, st.binary(max_size=20))
def test_heads_with_the_right_names_and_anything_else(
    letter: bytes, head: dict[str, Any], payload: bytes
) -> None:
    check(letter + json.dumps(head).encode() + b"\n" + payload)


@given(drafts | signals, st.data())
def test_mutated_envelopes(event: Draft | Signal, data: st.DataObject) -> None:
    whole = encode_draft(event) if isinstance(event, Draft) else encode_signal(event)
    envelope = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(envelope) - 1)))
        change = data.draw(st.sampled_from(["flip", "cut", "insert", "drop"]))
        if change == "flip" and envelope:
            envelope[at] ^= data.draw(st.integers(1, 255))
        elif change == "cut":
            del envelope[at:]
        elif change == "insert":
            envelope[at:at] = data.draw(st.binary(max_size=5))
        else:
            del envelope[at : at + 1]
    check(bytes(envelope))


SENDER = b'T{"sender":%b}\n'
INVALID = {
    "nothing": b"",
    "no head": b"T",
    "no end of the head": b"T{}",
    "an empty head": b"T\n",
    "no JSON": b"T{,}\nx",
    "no object": b"T[]\nx",
    "null": b"Tnull\nx",
    "another letter": b"Z{}\nx",
    "no UTF-8": b"T{}\n\xff",
    "a surrogate in UTF-8": b"T{}\n\xed\xa0\x80",
    "a head over the bound": b"T{" + b" " * MAX_HEAD + b"}\nx",
    "a head without end": b"T" + b"{" * 10_000_000,
    "deep lists": b"T" + b"[" * 16_000 + b"\n",
    "deep objects": b"T" + b'{"a":' * 3_000 + b"\n",
    "deep and whole": b'T{"sender":{"id":"a","info":' + b"[" * 7_000 + b"]" * 7_000 + b"}}\n",
    "a level too many": SENDER % (b'{"id":"a","info":' + b"[" * 65 + b"]" * 65 + b"}"),
    "a long number": SENDER % (b'{"id":"a","info":' + b"9" * 10_000 + b"}"),
    "infinity": SENDER % b'{"id":"a","info":Infinity}',
    "no number": SENDER % b'{"id":"a","info":[NaN]}',
    "a float beyond floats": SENDER % b'{"id":"a","info":1e999}',
    "a lone surrogate as user": SENDER % b'{"id":"a","user":"\\ud800"}',
    "a lone surrogate in the info": SENDER % b'{"id":"a","info":{"b":["\\uDC00"]}}',
    "a lone surrogate in a key": SENDER % b'{"id":"a","info":{"\\ud800":1}}',
    "UTF-16": b"T" + "{}".encode("utf-16-le") + b"\n",
    "UTF-32": b"T" + '{"key":"a"}'.encode("utf-32-be") + b"\n",
    "a byte order mark before the letter": b'\xff\xfeJ{"client":{"id":"a"}}\n',
    "a byte order mark": b"T\xef\xbb\xbf{}\n",
    "no id": SENDER % b"{}",
    "an empty id": SENDER % b'{"id":""}',
    "a number for an id": SENDER % b'{"id":1}',
    "a long id": SENDER % (b'{"id":"' + b"a" * 513 + b'"}'),
    "a number for a user": SENDER % b'{"id":"a","user":1}',
    "a list for a client": b'J{"client":[]}\n',
    "nobody": b"L{}\n",
    "a code that is text": b'D{"code":"1000"}\n',
    "a code that is a float": b'D{"code":1e3}\n',
    "a code that is true": b'D{"code":true}\n',
    "a code that may not be sent": b'D{"code":1006}\n',
    "no code": b"D{}\n",
    "a reason that is no text": b'D{"code":1000,"reason":1}\n',
}


@pytest.mark.parametrize("envelope", INVALID.values(), ids=INVALID.keys())
def test_what_is_invalid(envelope: bytes) -> None:
    with pytest.raises(InvalidEnvelope):
        decode("room", envelope)


def test_a_surrogate_pair_is_a_character() -> None:
    event = decode("room", SENDER % b'{"id":"a","info":"\\ud83d\\ude00"}')
    assert isinstance(event, Publication)
    assert event.sender == Client("a", None, "\N{GRINNING FACE}")


@pytest.mark.parametrize("value", [None, 1, "a", [], {}, {"id": None}])
def test_what_is_no_client(value: Any) -> None:
    with pytest.raises(InvalidEnvelope):
        client_from_json(value)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"id":"' + b"a" * 20_000 + b'"}'])
def test_what_is_no_client_in_bytes(data: bytes) -> None:
    with pytest.raises(InvalidEnvelope):
        decode_client(data)
