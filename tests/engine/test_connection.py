"""The engine alone: tables run whole and byte by byte, round trips at any split."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwire.engine import (
    Closed,
    Connection,
    DeflateSettings,
    Event,
    Failed,
    Limits,
    Ping,
    Pong,
    Role,
    State,
    accept,
    negotiate,
    offer,
)
from longwire.errors import LocalProtocolError
from tests.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, frame, text

KEYS = itertools.cycle([b"\x00\x00\x00\x00", b"\x01\x02\x03\x04", b"\xff\xfe\xfd\xfc"])

splits = pytest.mark.parametrize("step", [0, 1, 3], ids=["whole", "bytewise", "by three"])


def server(**limits: int) -> Connection:
    return Connection(Role.SERVER, Limits(**limits))


def client() -> Connection:
    return Connection(Role.CLIENT, masking_key=lambda: next(KEYS))


def state(connection: Connection) -> State:
    return connection.state


def feed(connection: Connection, data: bytes, step: int = 0) -> list[Event]:
    """Feed the bytes whole, or so many at a time."""
    step = step or max(len(data), 1)
    parts = [data[i : i + step] for i in range(0, len(data), step)]
    return [event for part in parts for event in connection.receive_data(part)]


MESSAGES: list[tuple[str, bytes, list[Event]]] = [
    ("text", text("hello"), ["hello"]),
    ("empty text", text(""), [""]),
    ("empty binary", frame(BINARY), [b""]),
    ("one byte", frame(BINARY, b"x") + text("y"), [b"x", "y"]),
    ("not ascii", text("héllo 🌍"), ["héllo 🌍"]),
    ("125, 126, 65535, 65536", b"".join(frame(BINARY, b"x" * n) for n in (125, 126, 65535, 65536)),
     [b"x" * n for n in (125, 126, 65535, 65536)]),
    ("fragments", frame(TEXT, b"a", fin=False) + frame(CONT, b"", fin=False) + frame(CONT, b"b"),
     ["ab"]),
    ("character across fragments", frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONT, b"\x8c\x8d"),
     ["🌍"]),
    ("ping between fragments", frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONT, b"b"),
     [Ping(b"p"), "ab"]),
    ("pong", frame(PONG, b"x" * 125), [Pong(b"x" * 125)]),
    ("close", close(3001, b"bye"), [Closed(3001, "bye")]),
    ("close without code", frame(CLOSE), [Closed(1005, "")]),
    ("nothing behind a close", close(1000) + text("late"), [Closed(1000, "")]),
]  # fmt: skip


@splits
@pytest.mark.parametrize(
    ("data", "events"), [m[1:] for m in MESSAGES], ids=[m[0] for m in MESSAGES]
)
def test_receive(step: int, data: bytes, events: list[Event]) -> None:
    if step == 1 and len(data) > 10_000:
        step = 1001
    assert feed(server(), data, step) == events


@splits
def test_messages_before_a_fault_are_delivered(step: int) -> None:
    events = feed(server(), text("first") + frame(3), step)
    assert events == ["first", Failed(1002, "unknown opcode 0x3")]


def test_after_a_failure_nothing_is_parsed() -> None:
    connection = server()
    assert isinstance(feed(connection, frame(3))[-1], Failed)
    assert feed(connection, text("late")) == []
    assert connection.data_to_send()[:4] == b"\x88\x14\x03\xea"
    assert state(connection) is State.CLOSED
    assert connection.data_to_send() == b""


def test_the_close_frame_follows_what_is_sent_before_it_leaves() -> None:
    connection = server()
    assert feed(connection, text("question") + close(1000)) == ["question", Closed(1000, "")]
    assert state(connection) is State.OPEN
    connection.send("answer")
    assert connection.data_to_send() == b"\x81\x06answer\x88\x02\x03\xe8"
    assert state(connection) is State.CLOSED


def test_close_handshake_begun_by_us() -> None:
    connection = server()
    connection.close(4000, "done")
    assert state(connection) is State.CLOSING
    with pytest.raises(LocalProtocolError):
        connection.send("late")
    assert connection.data_to_send() == b"\x88\x06\x0f\xa0done"
    assert feed(connection, text("dropped") + frame(PING, b"p")) == [Ping(b"p")]
    assert connection.data_to_send() == b""
    assert feed(connection, close(4000)) == [Closed(4000, "")]
    assert state(connection) is State.CLOSED
    assert connection.data_to_send() == b""


def test_simultaneous_closes() -> None:
    one, other = server(), client()
    one.close(1001)
    other.close(4001)
    assert feed(one, bytes(other.data_to_send())) == [Closed(4001, "")]
    assert feed(other, bytes(one.data_to_send())) == [Closed(1001, "")]
    assert (one.state, other.state) == (State.CLOSED, State.CLOSED)


def test_pongs_are_bounded_and_go_before_the_replies() -> None:
    connection = server()
    feed(connection, b"".join(frame(PING, b"%d" % n) for n in range(100)))
    connection.send("x")
    sent = connection.data_to_send()
    assert sent.count(b"\x8a") == 32
    assert sent.endswith(b"\x8a\x0299\x81\x01x")


def test_control_frames_are_checked_when_sent() -> None:
    connection = server()
    with pytest.raises(LocalProtocolError):
        connection.ping(b"x" * 126)
    connection.ping(b"p")
    connection.pong(b"q")
    assert connection.data_to_send() == b"\x89\x01p\x8a\x01q"


@pytest.mark.parametrize("data", [5, None, ["a"], {"a": 1}])
def test_send_wants_str_or_bytes(data: Any) -> None:
    with pytest.raises(TypeError):
        server().send(data)


@pytest.mark.parametrize("data", [b"a", bytearray(b"a"), memoryview(b"a")])
def test_send_binary(data: Any) -> None:
    connection = server()
    connection.send(data)
    assert connection.data_to_send() == b"\x82\x01a"


def test_a_client_needs_a_source_of_keys() -> None:
    with pytest.raises(LocalProtocolError):
        Connection(Role.CLIENT)


def test_a_client_refuses_masked_frames() -> None:
    assert feed(client(), text("x")) == [Failed(1002, "masked frame")]


def test_a_client_takes_a_fresh_key_for_every_frame() -> None:
    keys = iter([b"aaaa", b"bbbb"])
    connection = Connection(Role.CLIENT, masking_key=lambda: next(keys))
    connection.send("x")
    connection.send("x")
    assert connection.data_to_send() == b"\x81\x81aaaa\x19" + b"\x81\x81bbbb\x1a"


# ---- limits ---------------------------------------------------------------------------------


def test_refused_by_the_length_in_the_header_before_anything_is_kept() -> None:
    connection = server(max_message_size=100)
    assert feed(connection, frame(BINARY, b"", length=101)) == [
        Failed(1009, "message over the limit of 100 bytes")
    ]


def test_a_limit_of_zero_is_no_limit() -> None:
    assert feed(server(max_message_size=0), frame(BINARY, b"x" * 100_000)) == [b"x" * 100_000]


def test_empty_fragments_are_counted() -> None:
    (failed,) = feed(server(), frame(TEXT, fin=False) + frame(CONT, fin=False) * 2000)
    assert isinstance(failed, Failed)
    assert failed.code == 1009


def test_64_byte_fragments_are_legitimate() -> None:
    connection = server()
    feed(connection, frame(BINARY, b"x" * 64, fin=False))
    assert feed(connection, frame(CONT, b"x" * 64, fin=False) * 65_535) == []
    assert feed(connection, frame(CONT)) == [b"x" * 64 * 65_536]


# ---- deflate on connections -----------------------------------------------------------------


def pair(**settings: Any) -> tuple[Connection, Connection]:
    wanted = DeflateSettings(**settings)
    agreed = negotiate(offer(wanted), wanted)
    assert agreed is not None
    answer, deflate = agreed
    return (
        Connection(Role.SERVER, deflate=deflate),
        Connection(Role.CLIENT, deflate=accept(answer, wanted), masking_key=lambda: next(KEYS)),
    )


def test_rsv1_only_on_the_first_frame() -> None:
    for data in (frame(TEXT, b"a", fin=False) + frame(CONT, b"b", rsv=4), frame(PING, b"", rsv=4)):
        connection, _ = pair()
        assert feed(connection, data) == [Failed(1002, "reserved bit 1 is set")]


def test_what_is_no_deflate_stream_is_1002() -> None:
    connection, _ = pair()
    (failed,) = feed(connection, frame(TEXT, b"\xff\xff\xff", rsv=4))
    assert isinstance(failed, Failed)
    assert failed.code == 1002


def test_concatenated_final_blocks_are_refused() -> None:
    import zlib

    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    member = compressor.compress(b"x") + compressor.flush()
    connection, _ = pair()
    assert feed(connection, frame(TEXT, member + b"\x00", rsv=4)) == ["x"]
    connection, _ = pair()
    (failed,) = feed(connection, frame(TEXT, member * 1000, rsv=4))
    assert isinstance(failed, Failed)
    assert failed.code == 1002


payloads = st.one_of(st.text(max_size=300), st.binary(max_size=300), st.just("é" * 40_000))


@settings(max_examples=60, deadline=None)
@given(
    messages=st.lists(payloads, max_size=8),
    window=st.integers(9, 15),
    fresh=st.booleans(),
    deflated=st.booleans(),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=20),
)
def test_round_trip_both_ways_at_any_split(
    messages: list[str | bytes], window: int, fresh: bool, deflated: bool, cuts: list[int]
) -> None:
    if deflated:
        one, other = pair(
            server_max_window_bits=window, client_max_window_bits=window, threshold=0,
            server_no_context_takeover=fresh, client_no_context_takeover=fresh,
        )  # fmt: skip
    else:
        one, other = server(), client()
    for sender, receiver in ((one, other), (other, one)):
        for message in messages:
            sender.send(message)
        sender.ping(b"p")
        data = bytes(sender.data_to_send())
        received: list[Event] = []
        sizes = itertools.cycle(cuts)
        while data:
            size = max(next(sizes), len(data) // 50)
            received += receiver.receive_data(data[:size])
            data = data[size:]
        assert [event for event in received if not isinstance(event, Pong)] == [
            *messages,
            Ping(b"p"),
        ]


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_no_input_raises_and_no_split_matters(data: bytes, cut: int) -> None:
    whole = feed(server(max_message_size=50), data)
    parted = server(max_message_size=50)
    assert parted.receive_data(data[:cut]) + parted.receive_data(data[cut:]) == whole


@settings(max_examples=100, deadline=None)
@given(messages=st.lists(payloads, max_size=5))
def test_what_we_send_is_what_the_websockets_package_reads(messages: list[str | bytes]) -> None:
    from websockets.frames import Frame, Opcode
    from websockets.protocol import Protocol, Side
    from websockets.protocol import State as TheirState

    theirs = Protocol(Side.CLIENT, state=TheirState.OPEN)
    ours = server()
    for message in messages:
        ours.send(message)
    theirs.receive_data(bytes(ours.data_to_send()))
    received = [
        bytes(event.data).decode() if event.opcode is Opcode.TEXT else bytes(event.data)
        for event in theirs.events_received()
        if isinstance(event, Frame)
    ]
    assert received == messages
