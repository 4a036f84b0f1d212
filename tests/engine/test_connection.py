"""What only our own engine has: states, the client's role, words of failures, types of arguments.

What every engine does is in tests/contracts; arbitrary conversations are in test_machine.py.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from longwire.engine import Closed, Connection, Deflate, Failed, Ping, Role, State
from longwire.engine.assembly import Assembly
from longwire.errors import LocalProtocolError
from tests.engine.feeding import byte_by_byte, client, feed, sent, server
from tests.engine.test_security import deflate
from tests.wire import BINARY, PING, TEXT, close, frame, text


def state(connection: Connection) -> State:
    return connection.state


def test_a_failure_is_closed_once_it_was_told() -> None:
    connection = server()
    assert feed(connection, [frame(3)]) == [Failed(1002, "unknown opcode 0x3")]
    assert state(connection) is State.OPEN
    assert sent(connection) == b"\x88\x14\x03\xeaunknown opcode 0x3"
    assert state(connection) is State.CLOSED


def test_a_close_is_answered_by_what_leaves() -> None:
    connection = server()
    assert feed(connection, [text("question") + close(1000)]) == ["question", Closed(1000, "")]
    assert state(connection) is State.OPEN
    connection.send("answer")
    assert sent(connection) == b"\x81\x06answer\x88\x02\x03\xe8"
    assert state(connection) is State.CLOSED


def test_a_close_of_ours() -> None:
    connection = server()
    connection.close(4000, "done")
    assert state(connection) is State.CLOSING
    for late in (connection.send, connection.ping, connection.pong):
        with pytest.raises(LocalProtocolError):
            late(b"late")
    assert feed(connection, [frame(PING, b"p"), close(4000)]) == [Ping(b"p"), Closed(4000, "")]
    assert state(connection) is State.CLOSED


def test_half_a_character_and_then_another_is_found_at_once() -> None:
    connection = server()
    data = frame(TEXT, b"\xc3abc")
    assert feed(connection, [data[:7]]) == []
    assert feed(connection, [data[7:8]]) == [Failed(1007, "text is not UTF-8")]


def test_what_is_missing_of_a_payload() -> None:
    connection = server()
    missing = []
    for read in byte_by_byte(text("four") + frame(PING, b"p") + text("x")):
        feed(connection, [read])
        missing.append(connection.payload_missing)
    assert missing == [0] * 5 + [4, 3, 2, 1, 0] + [0] * 7 + [0] * 5 + [1, 0]


def test_simultaneous_closes() -> None:
    one, other = server(), client()
    one.close(1001)
    other.close(4001)
    assert feed(one, [sent(other)]) == [Closed(4001, "")]
    assert feed(other, [sent(one)]) == [Closed(1001, "")]
    assert (one.state, other.state) == (State.CLOSED, State.CLOSED)


def test_control_frames_are_checked_when_sent() -> None:
    connection = server()
    with pytest.raises(LocalProtocolError):
        connection.ping(b"x" * 126)
    connection.ping(b"p")
    connection.pong(b"q")
    assert sent(connection) == b"\x89\x01p\x8a\x01q"


@pytest.mark.parametrize("data", [5, None, ["a"], {"a": 1}])
def test_send_wants_str_or_bytes(data: Any) -> None:
    with pytest.raises(TypeError):
        server().send(data)


@pytest.mark.parametrize("data", [bytearray(b"a"), memoryview(b"a")])
def test_send_takes_what_is_like_bytes(data: Any) -> None:
    connection = server()
    connection.send(data)
    assert sent(connection) == b"\x82\x01a"


def test_a_client_needs_a_source_of_keys() -> None:
    with pytest.raises(LocalProtocolError):
        Connection(Role.CLIENT)


def test_a_client_refuses_masked_frames() -> None:
    assert feed(client(), [text("x")]) == [Failed(1002, "masked frame")]


def test_a_client_takes_a_fresh_key_for_every_frame() -> None:
    keys = iter([b"aaaa", b"bbbb"])
    connection = Connection(Role.CLIENT, masking_key=lambda: next(keys))
    connection.send("x")
    connection.send("x")
    assert sent(connection) == b"\x81\x81aaaa\x19" + b"\x81\x81bbbb\x1a"


def test_the_limit_is_named_in_the_failure() -> None:
    assert feed(server(100), [frame(BINARY, length=101)]) == [
        Failed(1009, "message over the limit of 100 bytes")
    ]


def test_concatenated_final_blocks_are_refused() -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    member = compressor.compress(b"x") + compressor.flush()
    assert feed(server(0, deflate()), [frame(TEXT, member + b"\x00", rsv=4)]) == ["x"]
    (failed,) = feed(server(0, deflate()), [frame(TEXT, member * 1000, rsv=4)])
    assert isinstance(failed, Failed)
    assert failed.code == 1002


def test_an_end_in_the_middle_of_a_read_leaves_other_messages_alone() -> None:
    others: list[Assembly] = []

    class Ending(Deflate):
        """Inflating lets other threads run: here the connection ends meanwhile."""

        def inflate(self, chunk: bytes, message: bytearray, limit: int) -> None:
            connection.receive_eof()
            for _ in range(100):  # one takes the place that the ended one's message had
                others.append(Assembly(BINARY, 0, None))
                others[-1].start_frame(BINARY, 100, 0)

    agreed = deflate()
    agreed = Ending(agreed.settings, agreed.compress_bits, agreed.inflate_bits, False, False)
    connection = server(0, agreed)
    assert connection.receive_data(frame(TEXT, b"abc", rsv=4)) == []
    assert state(connection) is State.CLOSED
    assert {other.missing for other in others} == {100}
