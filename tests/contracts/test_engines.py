"""What every engine does behind the joint that the session knows: `longwire.server.engines.Engine`.

Each test runs on our own engine, compiled or (`--pure`) interpreted, and on each package's adapter.
What a package is known not to do stands in deviations.py.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.protocol import State as PeerState

from longwire.engine import (
    Closed,
    Connection,
    Deflate,
    DeflateSettings,
    Engine,
    Event,
    Failed,
    Limits,
    Ping,
    Pong,
    Role,
    accept,
    negotiate,
    offer,
)
from longwire.errors import LocalProtocolError
from longwire.server.engines import new_engine
from tests.engine.feeding import cut_at, cuts
from tests.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, frame, text

pytestmark = pytest.mark.every_engine

# The fixture behind `engine` is a name: nothing in it has to be reset.
thorough = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

splits = pytest.mark.parametrize("step", [0, 1, 3], ids=["whole", "bytewise", "by three"])

MAX_SIZE = 100_000
RSV1 = 4
KEYS = itertools.cycle([b"\x00\x00\x00\x00", b"\x01\x02\x03\x04", b"\xff\xfe\xfd\xfc"])


def make(engine: str, deflate: Deflate | None = None, max_size: int = MAX_SIZE) -> Engine:
    return new_engine(engine)(Limits(max_message_size=max_size), deflate)


def feed(engine: Engine, data: bytes, step: int = 0) -> list[Event]:
    """Feed the bytes whole, or so many at a time; a failure's words are the engine's own."""
    step = step or max(len(data), 1)
    parts = [data[i : i + step] for i in range(0, len(data), step)]
    return wordless([event for part in parts for event in engine.receive_data(part)])


def wordless(events: list[Event]) -> list[Event]:
    return [Failed(event.code, "") if isinstance(event, Failed) else event for event in events]


def typed(events: list[Event]) -> list[tuple[type, Event]]:
    """Tell a Ping from a Pong: as tuples they are equal."""
    return [(type(event), event) for event in events]


def failed(code: int) -> Failed:
    return Failed(code, "")


def agreed(**wanted: Any) -> tuple[Deflate, Deflate]:
    """Return the two sides of a permessage-deflate that was agreed upon, the server's first."""
    own = DeflateSettings(**wanted)
    answer = negotiate(offer(own), own)
    assert answer is not None
    client_side = accept(answer[0], own)
    assert client_side is not None
    return answer[1], client_side


# ---- what comes in --------------------------------------------------------------------------

LENGTHS = (125, 126, 65535, 65536)

RECEIVED: list[tuple[str, bytes, list[Event]]] = [
    ("text", text("hello"), ["hello"]),
    ("empty text", text(""), [""]),
    ("empty binary", frame(BINARY), [b""]),
    ("one byte", frame(BINARY, b"x") + text("y"), [b"x", "y"]),
    ("not ascii", text("héllo 🌍"), ["héllo 🌍"]),
    ("every form of length", b"".join(frame(BINARY, b"x" * n) for n in LENGTHS),
     [b"x" * n for n in LENGTHS]),
    ("fragments", frame(TEXT, b"a", fin=False) + frame(CONT, b"", fin=False) + frame(CONT, b"b"),
     ["ab"]),
    ("character across fragments", frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONT, b"\x8c\x8d"),
     ["🌍"]),
    ("ping", frame(PING, b"p"), [Ping(b"p")]),
    ("ping between fragments", frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONT, b"b"),
     [Ping(b"p"), "ab"]),
    ("longest pong", frame(PONG, b"x" * 125), [Pong(b"x" * 125)]),
    ("as long as may be", frame(BINARY, b"x" * MAX_SIZE), [b"x" * MAX_SIZE]),
    ("close", close(3001, b"bye"), [Closed(3001, "bye")]),
    ("close without code", frame(CLOSE), [Closed(1005, "")]),
    ("close with the longest reason", close(1000, b"r" * 123), [Closed(1000, "r" * 123)]),
    ("close inside a message", frame(TEXT, b"a", fin=False) + close(1001), [Closed(1001, "")]),
    ("nothing behind a close", close(1000) + text("late"), [Closed(1000, "")]),
]  # fmt: skip

FAULTS: list[tuple[str, bytes, int]] = [
    ("unknown opcode", frame(3), 1002),
    ("unknown control opcode", frame(11), 1002),
    ("reserved bit 1", frame(TEXT, b"x", rsv=RSV1), 1002),
    ("reserved bit 2", frame(TEXT, b"x", rsv=2), 1002),
    ("reserved bit 3", frame(PING, rsv=1), 1002),
    ("unmasked", frame(TEXT, b"x", mask=None), 1002),
    ("continuation of nothing", frame(CONT, b"x"), 1002),
    ("message inside a message", frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002),
    ("16-bit length for 5 bytes", frame(TEXT, b"hello", form=2), 1002),
    ("64-bit length for 5 bytes", frame(TEXT, b"hello", form=8), 1002),
    ("64-bit length with its top bit", frame(BINARY, length=1 << 63), 1002),
    ("fragmented ping", frame(PING, fin=False), 1002),
    ("ping of 126 bytes", frame(PING, b"x" * 126), 1002),
    ("close with half a code", frame(CLOSE, b"\x03"), 1002),
    ("close with 999", close(999), 1002),
    ("close with 1004", close(1004), 1002),
    ("close with 1005", close(1005), 1002),
    ("close with 2999", close(2999), 1002),
    ("close with 5000", close(5000), 1002),
    ("close with a reason in latin-1", close(1000, b"\xe9"), 1007),
    ("bad byte", frame(TEXT, b"ab\xff"), 1007),
    ("surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
    ("half a character", frame(TEXT, b"\xf0\x9f"), 1007),
    ("half a character over fragments", frame(TEXT, b"\xf0", fin=False) + frame(CONT, b"\x9f"),
     1007),
    ("bad byte in an open frame", frame(TEXT, b"\xff", length=9), 1007),
    ("over the limit by its header", frame(BINARY, length=MAX_SIZE + 1), 1009),
    ("over the limit", frame(BINARY, b"x" * (MAX_SIZE + 1)), 1009),
    ("over the limit in fragments",
     frame(BINARY, b"x" * MAX_SIZE, fin=False) + frame(CONT, b"y"), 1009),
    ("too many fragments", frame(TEXT, fin=False) + frame(CONT, fin=False) * 2000, 1009),
]  # fmt: skip


def step_for(step: int, data: bytes) -> int:
    return 1001 if step == 1 and len(data) > 10_000 else step


@splits
@pytest.mark.parametrize(
    ("data", "events"), [row[1:] for row in RECEIVED], ids=[row[0] for row in RECEIVED]
)
def test_received(engine: str, step: int, data: bytes, events: list[Event]) -> None:
    assert typed(feed(make(engine), data, step_for(step, data))) == typed(events)


@splits
@pytest.mark.parametrize(
    ("data", "code"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_fault(engine: str, step: int, data: bytes, code: int) -> None:
    """The last event is the failure, and what came before it is delivered."""
    events = feed(make(engine), text("first") + data, step_for(step, data))
    assert typed(events) == typed(["first", failed(code)])


def test_nothing_is_parsed_behind_a_failure(engine: str) -> None:
    it = make(engine)
    assert feed(it, frame(3) + text("late")) == [failed(1002)]
    assert feed(it, text("later") + close(1000)) == []
    assert it.data_to_send()[2:4] == b"\x03\xea"
    assert it.data_to_send() == b""


def test_nothing_is_parsed_behind_the_end(engine: str) -> None:
    it = make(engine)
    feed(it, text("hello")[:7])
    it.receive_eof()
    assert feed(it, text("hello")[7:]) == []
    assert it.data_to_send() == b""


def test_a_limit_of_zero_is_no_limit(engine: str) -> None:
    data = b"x" * (4 * MAX_SIZE)
    assert feed(make(engine, max_size=0), frame(BINARY, data)) == [data]


def test_fragments_of_64_bytes_are_legitimate(engine: str) -> None:
    it = make(engine, max_size=0)
    feed(it, frame(BINARY, b"x" * 64, fin=False))
    assert feed(it, frame(CONT, b"x" * 64, fin=False) * 4095) == []
    assert feed(it, frame(CONT)) == [b"x" * 64 * 4096]


def test_fragments_of_one_message_do_not_count_for_the_next(engine: str) -> None:
    message = frame(BINARY, fin=False) + frame(CONT, fin=False) * 1000 + frame(CONT)
    assert feed(make(engine), message * 3) == [b"", b"", b""]


@settings(thorough, max_examples=150)
@given(data=st.binary(max_size=200), places=cuts)
def test_no_input_raises_and_no_split_matters(engine: str, data: bytes, places: list[int]) -> None:
    whole = feed(make(engine), data)
    parted = make(engine)
    events = [event for part in cut_at(data, places) for event in parted.receive_data(part)]
    assert typed(wordless(events)) == typed(whole)
    parted.data_to_send()


# ---- what goes out --------------------------------------------------------------------------

SENT: list[tuple[str, str | bytes, bytes]] = [
    ("text", "hello", b"\x81\x05hello"),
    ("empty text", "", b"\x81\x00"),
    ("not ascii", "é", b"\x81\x02\xc3\xa9"),
    ("empty binary", b"", b"\x82\x00"),
    ("125", b"x" * 125, b"\x82\x7d" + b"x" * 125),
    ("126", b"x" * 126, b"\x82\x7e\x00\x7e" + b"x" * 126),
    ("65536", b"x" * 65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536),
]


@pytest.mark.parametrize(
    ("message", "data"), [row[1:] for row in SENT], ids=[row[0] for row in SENT]
)
def test_sent(engine: str, message: str | bytes, data: bytes) -> None:
    it = make(engine)
    it.send(message)
    it.ping(b"p")
    assert it.data_to_send() == data + b"\x89\x01p"
    assert it.data_to_send() == b""


CLOSES: list[tuple[str, int | None, str, bytes]] = [
    ("no code", None, "", b"\x88\x00"),
    ("a code", 1000, "", b"\x88\x02\x03\xe8"),
    ("a reason", 4000, "done", b"\x88\x06\x0f\xa0done"),
    ("a long reason is cut", 1001, "é" * 100, b"\x88\x7c\x03\xe9" + "é".encode() * 61),
]


@pytest.mark.parametrize(
    ("code", "reason", "data"), [row[1:] for row in CLOSES], ids=[row[0] for row in CLOSES]
)
def test_closed_by_us(engine: str, code: int | None, reason: str, data: bytes) -> None:
    it = make(engine)
    it.close(code, reason)
    assert it.data_to_send() == data
    assert feed(it, text("dropped") + close(4000)) == [Closed(4000, "")]
    assert it.data_to_send() == b""


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1010, 1015, 2999, 5000])
def test_codes_that_may_not_be_sent(engine: str, code: int) -> None:
    it = make(engine)
    with pytest.raises(LocalProtocolError):
        it.close(code)
    assert it.data_to_send() == b""


def test_nothing_follows_our_close(engine: str) -> None:
    it = make(engine)
    it.close(1000)
    with suppress(LocalProtocolError):
        it.send("late")
    with suppress(LocalProtocolError):
        it.ping(b"late")
    it.close(1001)
    assert feed(it, frame(PING, b"p")) == [Ping(b"p")]
    assert it.data_to_send() == b"\x88\x02\x03\xe8"
    assert feed(it, frame(PING, b"q")) == [Ping(b"q")]
    assert it.data_to_send() == b""


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (close(3001, b"bye"), b"\x88\x02\x0b\xb9"),
        (close(None), b"\x88\x00"),
        (frame(PING, b"p") + close(1000), b"\x8a\x01p\x88\x02\x03\xe8"),
    ],
    ids=["code", "no code", "ping before it"],
)
def test_a_close_is_answered_with_its_code(engine: str, data: bytes, answer: bytes) -> None:
    it = make(engine)
    feed(it, data)
    sent = it.data_to_send()
    # Whether the reason is said back is the engine's own business.
    assert sent[2:].startswith(answer[2:])
    assert sent[0] == answer[0]
    it.close(4000)
    assert it.data_to_send() == b"", "one close frame, and nothing behind it"


def test_messages_of_one_read_are_answered_before_its_close(engine: str) -> None:
    it = make(engine)
    assert feed(it, text("question") + close(1000)) == ["question", Closed(1000, "")]
    it.send("answer")
    assert it.data_to_send() == b"\x81\x06answer\x88\x02\x03\xe8"


def test_messages_of_one_read_are_answered_before_its_fault(engine: str) -> None:
    it = make(engine)
    assert feed(it, text("question") + frame(3)) == ["question", failed(1002)]
    it.send("answer")
    assert it.data_to_send()[:8] == b"\x81\x06answer"


def test_pongs_are_bounded_and_go_before_the_replies(engine: str) -> None:
    it = make(engine)
    feed(it, b"".join(frame(PING, b"%d" % n) for n in range(100)))
    it.send("x")
    sent = it.data_to_send()
    assert sent.count(b"\x8a") == 32
    assert sent.endswith(b"\x8a\x0299\x81\x01x")


# ---- deflate --------------------------------------------------------------------------------

DEFLATED_FAULTS: list[tuple[str, bytes, int]] = [
    ("RSV1 on a continuation", frame(TEXT, b"a", fin=False) + frame(CONT, b"b", rsv=RSV1), 1002),
    ("RSV1 on a ping", frame(PING, b"", rsv=RSV1), 1002),
    ("no deflate stream", frame(TEXT, b"\xff\xff\xff", rsv=RSV1), 1002),
    ("bad byte inside", frame(TEXT, b"\xfa\x0f\x00", rsv=RSV1), 1007),
]


@splits
@pytest.mark.parametrize(
    ("data", "code"), [row[1:] for row in DEFLATED_FAULTS], ids=[row[0] for row in DEFLATED_FAULTS]
)
def test_deflated_fault(engine: str, step: int, data: bytes, code: int) -> None:
    server_side, _ = agreed()
    assert feed(make(engine, server_side), data, step) == [failed(code)]


@splits
def test_the_limit_holds_for_inflated_bytes(engine: str, step: int) -> None:
    for size, expected in ((1000, ["x" * 1000]), (1001, [failed(1009)])):
        server_side, client_side = agreed()
        it = make(engine, server_side, max_size=1000)
        wire = frame(TEXT, client_side.compress(b"x" * size), rsv=RSV1)
        assert feed(it, wire, step) == expected


payloads = st.one_of(st.text(max_size=300), st.binary(max_size=300), st.just("é" * 40_000))
deflates: st.SearchStrategy[dict[str, Any] | None] = st.none() | st.builds(
    dict,
    server_max_window_bits=st.integers(9, 15),
    client_max_window_bits=st.integers(9, 15),
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    threshold=st.just(0),
)


@settings(thorough, max_examples=60)
@given(messages=st.lists(payloads, max_size=8), wanted=deflates, places=cuts)
def test_what_a_client_sends_arrives_at_any_split(
    engine: str, messages: list[str | bytes], wanted: dict[str, Any] | None, places: list[int]
) -> None:
    server_side, client_side = agreed(**wanted) if wanted else (None, None)
    it = make(engine, server_side)
    client = Connection(Role.CLIENT, Limits(), client_side, masking_key=lambda: next(KEYS))
    for message in messages:
        client.send(message)
    client.ping(b"p")
    wire = bytes(client.data_to_send())
    events = [event for part in cut_at(wire, places) for event in it.receive_data(part)]
    assert typed(events) == typed([*messages, Ping(b"p")])
    assert feed_client(client, it.data_to_send()) == [Pong(b"p")]


def feed_client(client: Connection, data: bytes | bytearray) -> list[Event]:
    return client.receive_data(bytes(data))


@settings(thorough, max_examples=60)
@given(messages=st.lists(payloads, max_size=8), wanted=deflates)
def test_what_is_sent_is_what_the_websockets_package_reads(
    engine: str, messages: list[str | bytes], wanted: dict[str, Any] | None
) -> None:
    server_side, _ = agreed(**wanted) if wanted else (None, None)
    it = make(engine, server_side)
    peer = Protocol(Side.CLIENT, state=PeerState.OPEN)
    if server_side is not None:
        peer.extensions = [
            PerMessageDeflate(
                server_side.is_compressor_fresh, server_side.is_decompressor_fresh,
                server_side.compress_bits, server_side.inflate_bits,
            )
        ]  # fmt: skip
    for message in messages:
        it.send(message)
    it.close(1000)
    peer.receive_data(bytes(it.data_to_send()))
    frames = [event for event in peer.events_received() if isinstance(event, Frame)]
    assert [
        bytes(event.data).decode() if event.opcode is Opcode.TEXT else bytes(event.data)
        for event in frames[:-1]
    ] == messages
    assert frames[-1].opcode is Opcode.CLOSE
