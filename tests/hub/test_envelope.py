"""Events as bytes: what comes back is what went in, and what strangers wrote is refused."""

from __future__ import annotations

import pytest

from longwire.hub.brokers.envelope import (
    InvalidEnvelope,
    decode,
    decode_client,
    encode_client,
    encode_draft,
    encode_signal,
)
from longwire.hub.events import Client, Disconnect, Draft, Join, Leave, Publication

ALICE = Client("c1", "alice", {"name": "Ω \x00 \u2028 \U0001f600", "half": 0.5, "seats": [None]})


def test_publications_come_back() -> None:
    for data in ("", "Hüllo\n", b"", b"\xff\n\x00"):
        draft = Draft(data, ALICE, "key", "c2")
        expected = Publication("lobby", data, ALICE, "key", "c2")
        assert decode("lobby", encode_draft(draft)) == expected


def test_signals_and_clients_come_back() -> None:
    for signal in (Join("a", ALICE), Leave("a", ALICE), Disconnect("a", 4001, "Ω")):
        assert decode("a", encode_signal(signal)) == signal
    assert decode_client(encode_client(ALICE)) == ALICE


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"T",
        b"T{}",
        b"X{}\n",
        b"T[]\n",
        b"T\n",
        b"T{}\n\xff",
        b'T{"key":5}\n',
        b'T{"sender":{}}\n',
        b'T{"sender":{"id":""}}\n',
        b'T{"key":"' + b"x" * 513 + b'"}\n',
        b'T{"x":"' + b"x" * 17_000 + b'"}\n',
        b'T{"key":"\\ud800"}\n',
        b'J{"client":{"id":"a","info":["\\ud800"]}}\n',
        b'J{"client":{"id":"a","info":{"\\udfff":1}}}\n',
        b'J{"client":{"id":"a","info":NaN}}\n',
        b'J{"client":{"id":"a","info":[-Infinity]}}\n',
        b'J{"client":{"id":"a","info":1e999}}\n',
        b'J{"client":{"id":"a","info":' + b"[" * 8000 + b"]" * 8000 + b"}}\n",
        b'J{"client":{"id":"a","info":"\xed\xa0\x80"}}\n',
        b'\xff\xfeJ{"client":{"id":"a"}}\n',
        b'D{"code":1e3}\n',
        b'D{"code":1005}\n',
        b'D{"code":4001,"reason":4}\n',
    ],
)
def test_what_is_no_event_is_refused(envelope: bytes) -> None:
    with pytest.raises(InvalidEnvelope):
        decode("lobby", envelope)
