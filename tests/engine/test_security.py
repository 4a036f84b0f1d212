"""What others learned the hard way: each test is named after what it protects."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from longwire.engine import (
    Connection,
    Deflate,
    DeflateSettings,
    Failed,
    Role,
    accept,
    negotiate,
    parse_upgrade,
    upgrade_request,
    upgrade_response,
)
from longwire.errors import HandshakeError, LocalProtocolError
from tests.engine.feeding import both_cuts, byte_by_byte, client, feed, sent, server
from tests.wire import BINARY, CONT, KEY, PING, PONG, TEXT, frame, text

RSV1 = 4
MIB = 1024 * 1024

REQUEST = [
    (b"host", b"test"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", KEY),
]


def deflate() -> Deflate:
    agreed = negotiate("permessage-deflate", DeflateSettings())
    assert agreed is not None
    return agreed[1]


def deflated(data: bytes, end: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """Return the payload of a compressed message, or of one that ends in a final block."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    stream = compressor.compress(data) + compressor.flush(end)
    return stream[:-4] if end == zlib.Z_SYNC_FLUSH else stream


def failed(connection: Connection, reads: Iterable[bytes]) -> Failed:
    """Feed the reads; return the failure, which has to be the only event."""
    (event,) = feed(connection, reads)
    assert isinstance(event, Failed)
    return event


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


# ---- bytes ----------------------------------------------------------------------------------


def test_message_limit_is_on_by_default() -> None:
    assert failed(Connection(Role.SERVER), [frame(BINARY, length=16 * MIB + 1)]).code == 1009


@pytest.mark.parametrize("first", [b"", frame(TEXT, b"x", fin=False)], ids=["frame", "fragment"])
def test_refused_on_the_length_in_the_header(first: bytes) -> None:
    opcode = CONT if first else TEXT
    header = frame(opcode, length=100 * MIB)
    assert failed(server(MIB), byte_by_byte(first + header)).code == 1009


def test_a_declared_length_reserves_no_memory() -> None:
    with memory_below(MIB):
        connection = server(16 * MIB)
        assert feed(connection, [frame(BINARY, length=16 * MIB) + b"x" * 10]) == []


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, (1 << 63) + 5])
@pytest.mark.parametrize("max_size", [0, MIB], ids=["no limit", "limit"])
def test_64_bit_lengths_do_not_overflow(length: int, max_size: int) -> None:
    assert failed(server(max_size), [frame(BINARY, length=length)]).code == 1002


def test_the_longest_length_waits_for_its_bytes() -> None:
    connection = server()
    assert feed(connection, [frame(BINARY, length=(1 << 63) - 1), b"x" * 1000]) == []


@both_cuts
def test_size_is_counted_over_all_fragments(cut: Callable[[bytes], list[bytes]]) -> None:
    fragments = frame(BINARY, b"x" * 60, fin=False) + frame(CONT, b"x" * 60)
    assert feed(server(120), cut(fragments)) == [b"x" * 120]
    assert failed(server(119), cut(fragments)).code == 1009


def test_tiny_reads_live_in_one_growing_buffer() -> None:
    reads = byte_by_byte(frame(BINARY, b"x" * 512 * 1024)[:-1])
    with memory_below(2 * MIB):  # as objects of their own they would take 17
        assert feed(server(MIB), reads) == []


# ---- objects --------------------------------------------------------------------------------


def test_empty_fragments_are_counted_whatever_was_inflated() -> None:
    # A bomb of a few bytes must not pay for a million fragments.
    connection = server(16 * MIB, deflate())
    bomb = frame(BINARY, deflated(b"\x00" * 8 * MIB), fin=False, rsv=RSV1)
    assert feed(connection, [bomb, frame(CONT, fin=False) * 1000]) == []
    assert failed(connection, [frame(CONT, fin=False) * 1000]).code == 1009


def test_fragments_of_one_message_do_not_count_for_the_next() -> None:
    connection = server()
    message = frame(BINARY, fin=False) + frame(CONT, fin=False) * 1000 + frame(CONT)
    assert feed(connection, [message] * 3) == [b"", b"", b""]


@pytest.mark.parametrize("pings", [1, 31, 100_000])
def test_pongs_to_a_peer_that_does_not_read_are_bounded(pings: int) -> None:
    connection = server()
    connection.receive_data(frame(PING, b"x" * 125) * pings)
    connection.receive_data(frame(PING, b"last"))
    answer = sent(connection)
    assert len(answer) <= 32 * 127
    assert answer.endswith(frame(PONG, b"last", mask=None))


# ---- deflate --------------------------------------------------------------------------------


@both_cuts
def test_the_limit_holds_for_inflated_bytes(cut: Callable[[bytes], list[bytes]]) -> None:
    for size, fits in ((1000, True), (1001, False)):
        connection = server(1000, deflate())
        events = feed(connection, cut(frame(TEXT, deflated(b"x" * size), rsv=RSV1)))
        assert (events == ["x" * size]) is fits
        if not fits:
            assert isinstance(events[0], Failed)
            assert events[0].code == 1009


def test_a_bomb_is_never_inflated_past_the_limit() -> None:
    bomb = frame(BINARY, deflated(b"\x00" * 256 * MIB), rsv=RSV1)
    connection = server(MIB, deflate())
    with memory_below(4 * MIB):
        assert failed(connection, [bomb]).code == 1009


def test_no_error_escapes_after_the_limit_was_hit() -> None:
    connection = server(1000, deflate())
    assert failed(connection, [frame(BINARY, deflated(b"x" * 2000), fin=False, rsv=RSV1)])
    assert feed(connection, [frame(CONT, b"\xff" * 100), b"\xff" * 1000]) == []


def test_what_does_not_compress_may_reach_the_limit() -> None:
    noise = bytes(i * i % 251 ^ i >> 3 & 255 for i in range(100))
    stream = deflated(noise)
    assert len(stream) > 100, "the message is longer on the wire than the limit"
    assert feed(server(100, deflate()), [frame(BINARY, stream, rsv=RSV1)]) == [noise]


def test_a_stream_of_empty_blocks_ends() -> None:
    connection = server(1000, deflate())
    empty = b"\x00\x00\x00\xff\xff" * 40
    reads = [frame(BINARY, empty, fin=False, rsv=RSV1), *[frame(CONT, empty, fin=False)] * 20]
    assert failed(connection, reads).code == 1009


@pytest.mark.parametrize("behind", [b"\x00\x00", b"\x00" * MIB, b"x"], ids=["2", "1 MiB", "x"])
@both_cuts
def test_nothing_is_kept_behind_the_final_block(
    behind: bytes, cut: Callable[[bytes], list[bytes]]
) -> None:
    stream = deflated(b"hello", zlib.Z_FINISH) + behind
    wire = frame(TEXT, stream, rsv=RSV1)[: 200 + len(behind)]
    assert failed(server(16 * MIB, deflate()), cut(wire)).code == 1002


@pytest.mark.parametrize("behind", [b"", b"\x00"], ids=["bare", "RFC 7692 7.2.3.4"])
@both_cuts
def test_a_final_block_ends_a_message_and_the_next_begins_anew(
    behind: bytes, cut: Callable[[bytes], list[bytes]]
) -> None:
    wire = frame(TEXT, deflated(b"hello", zlib.Z_FINISH) + behind, rsv=RSV1)
    assert feed(server(0, deflate()), cut(wire * 3)) == ["hello"] * 3


@both_cuts
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONT, PING])
def test_rsv1_without_deflate_fails(opcode: int, cut: Callable[[bytes], list[bytes]]) -> None:
    assert failed(server(), cut(frame(opcode, b"x", rsv=RSV1))).code == 1002


@pytest.mark.parametrize("bits", ["0", "7", "8", "16", "255", "-9", "09", "9.0", "x", ""])
def test_window_bits_out_of_range_never_reach_zlib(bits: str) -> None:
    for name in ("server_max_window_bits", "client_max_window_bits"):
        value = f"permessage-deflate; {name}={bits}"
        assert negotiate(value, DeflateSettings()) is None
    with pytest.raises(HandshakeError):
        accept(f"permessage-deflate; client_max_window_bits={bits}", DeflateSettings())


# ---- handshake ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [(b"content-length", b"5"), (b"content-length", b"00"), (b"content-length", b"x"),
     (b"transfer-encoding", b"chunked")],
)  # fmt: skip
def test_a_body_of_the_upgrade_becomes_neither_request_nor_frames(
    body: tuple[bytes, bytes],
) -> None:
    with pytest.raises(HandshakeError, match="no body") as caught:
        parse_upgrade("GET", "1.1", [*REQUEST, body])
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["é".encode(), b"\xff\xfe", b"a b", b"a\x0bb", b"a\x85b", b'"'])
def test_subprotocols_that_are_no_tokens_are_refused(value: bytes) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_upgrade("GET", "1.1", [*REQUEST, (b"sec-websocket-protocol", value)])
    assert caught.value.status == 400


@pytest.mark.parametrize("value", [b"\xff" * 24, b"====", b"A" * 24, b"", KEY + b"=", KEY[:-4]])
def test_keys_that_are_not_16_bytes_are_refused(value: bytes) -> None:
    headers = [pair for pair in REQUEST if pair[0] != b"sec-websocket-key"]
    with pytest.raises(HandshakeError) as caught:
        parse_upgrade("GET", "1.1", [*headers, (b"sec-websocket-key", value)])
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"sec-websocket-protocol", b", " * 50_000 + b"x"),
        (b"sec-websocket-protocol", b"x " * 50_000),
        (b"sec-websocket-extensions", b'x; y="' + b"\\" * 100_000),
        (b"sec-websocket-extensions", b"permessage-deflate;" * 20_000),
        (b"sec-websocket-extensions", b"permessage-deflate," * 20_000),
        (b"connection", b"upgrade, " + b" \t," * 50_000),
    ],
)
@pytest.mark.timeout(5)
def test_header_parsers_are_linear(name: bytes, value: bytes) -> None:
    with suppress(HandshakeError):
        request = parse_upgrade("GET", "1.1", [*REQUEST, (name, value)])
        assert negotiate(request.extensions, DeflateSettings()) is None


@pytest.mark.parametrize("bad", [b"x\r\ny: z", b"x\ny", b"x\ry", b"x\x00y"])
def test_line_breaks_never_leave_in_a_header(bad: bytes) -> None:
    request = parse_upgrade("GET", "1.1", REQUEST)
    for header in ((b"x", bad), (bad, b"x")):
        with pytest.raises(LocalProtocolError):
            upgrade_response(request, headers=[header])
        with pytest.raises(LocalProtocolError):
            upgrade_request("test", "/", KEY, headers=[header])
    with pytest.raises(LocalProtocolError):
        upgrade_response(request, subprotocol=bad.decode())
    with pytest.raises(LocalProtocolError):
        upgrade_request("test", "/", KEY, subprotocols=[bad.decode()])
    with pytest.raises(LocalProtocolError):
        upgrade_request(bad.decode(), "/", KEY)
    with pytest.raises(LocalProtocolError):
        upgrade_request("test", "/" + bad.decode(), KEY)


# ---- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [5, "text", None, [1, 2]])
def test_arguments_of_a_wrong_type_disclose_nothing(payload: Any) -> None:
    connection = server()
    for call in (connection.ping, connection.pong):
        with pytest.raises(TypeError):
            call(payload)
    if not isinstance(payload, str):
        with pytest.raises(LocalProtocolError):
            connection.close(1000, payload)
        with pytest.raises(TypeError):
            connection.send(payload)
    assert sent(connection) == b""


def test_a_str_of_a_subclass_is_text() -> None:
    class Markup(str):
        __slots__ = ()

    connection = server()
    connection.send(Markup("<b>"))
    assert feed(client(), [sent(connection)]) == ["<b>"]


def test_one_bad_peer_does_not_touch_another() -> None:
    bad, good = server(), server()
    good.receive_data(text("hello")[:4])
    assert failed(bad, [b"\xff" * 1000])
    assert feed(good, [text("hello")[4:]]) == ["hello"]
