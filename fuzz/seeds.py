"""Inputs to begin with, after Autobahn's cases: what is right, and what is wrong in one place."""

from __future__ import annotations

import hashlib
import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from fuzz.input import join

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CLIENT, DEFLATE, FRESH, SMALL, TALK = 1, 2, 4, 8, 16
SPLITS = (b"", b"\x01", b"\x03", b"\x02\x07\x01")
MASK = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    form: int | None = None,
    length: int | None = None,
) -> bytes:
    size = len(payload) if length is None else length
    if form is None:
        form = 0 if size < 126 else 2 if size < 65536 else 8
    bit = 0 if mask is None else 0x80
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    if form == 0:
        head += bytes((bit | size,))
    else:
        head += bytes((bit | (126 if form == 2 else 127),)) + size.to_bytes(form, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def wires() -> Iterator[bytes]:
    """Yield frames of a client, by Autobahn's groups."""
    for size in (0, 1, 125, 126, 127, 300):  # 1: framing
        yield frame(TEXT, b"*" * size) + frame(BINARY, b"\xfe" * size)
    yield frame(BINARY, b"x" * 40, form=2)
    yield frame(BINARY, length=1 << 16) + b"x" * 30
    yield frame(BINARY, length=1 << 63)
    yield frame(PING) + frame(PING, b"\x00\xff\xfe" * 41) + frame(PONG, b"unasked")  # 2
    yield frame(PING, b"x" * 126)
    yield from (frame(TEXT, b"rsv", rsv=rsv) for rsv in range(1, 8))  # 3
    yield from (frame(opcode, b"op") for opcode in (3, 7, 11, 15))  # 4
    yield frame(TEXT, b"one", fin=False) + frame(PING, b"p") + frame(CONT, b"two")  # 5
    yield frame(TEXT, b"a", fin=False) + frame(CONT, b"", fin=False) * 3 + frame(CONT, b"z")
    yield frame(CONT, b"of nothing") + frame(TEXT, b"x")
    yield frame(TEXT, b"x", fin=False) + frame(TEXT, b"again")
    for text in ("κόσμε", "\U0010ffff", "héllo 🌍"):  # 6
        data = text.encode()
        yield frame(TEXT, data)
        yield frame(TEXT, data[:3], fin=False) + frame(CONT, data[3:])
    for bad in (b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xce\xba\xff", b"\xf0\x9f"):
        yield frame(TEXT, b"ascii, eight at a time " + bad + b"edited")
        yield frame(TEXT, bad)
    for code in (1000, 999, 1004, 1005, 1011, 2999, 3000, 4999, 65535):  # 7
        yield frame(TEXT, b"before") + close(code, b"bye") + frame(PING, b"behind")
    yield frame(CLOSE) + frame(TEXT, b"late")
    yield frame(CLOSE, b"\x03")
    yield close(1000, b"\xce\xba\xff")


def deflated() -> Iterator[bytes]:
    """Yield compressed messages: Autobahn's groups 12 and 13, and what is wrong with some."""
    for data in (b"", b"hello", b"ab" * 200, bytes(range(256)), "é".encode() * 90, b"\xff" * 40):
        for end in (zlib.Z_SYNC_FLUSH, zlib.Z_FINISH):
            compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
            stream = compressor.compress(data) + compressor.flush(end)
            stream = stream[:-4] if end == zlib.Z_SYNC_FLUSH else stream
            middle = len(stream) // 2
            yield frame(TEXT, stream, rsv=4) * 2
            yield frame(BINARY, stream[:middle], rsv=4, fin=False) + frame(CONT, stream[middle:])
            yield frame(BINARY, stream + b"\x00\x00more", rsv=4)
    yield frame(TEXT, b"\xff\xff\xff", rsv=4)
    yield frame(TEXT, b"\x00\x00\x00\xff\xff" * 30, rsv=4)


def engine() -> Iterator[bytes]:
    for number, wire in enumerate(itertools.chain(wires(), deflated())):
        for switches in (0, DEFLATE | TALK, SMALL, DEFLATE | FRESH | SMALL):
            yield join(switches, SPLITS[(number + switches) % 4], wire)
    for opcode, payload in ((TEXT, b"to a client"), (PING, b"p"), (CLOSE, b"\x03\xe8")):
        yield join(CLIENT | TALK, b"", frame(opcode, payload, mask=None))


HEADS = (
    b"sec-websocket-protocol: chat, superchat",
    b"sec-websocket-extensions: permessage-deflate; client_max_window_bits; "
    b'server_max_window_bits=10, x-other; a="b"',
    b"sec-websocket-extensions: permessage-deflate; server_no_context_takeover; "
    b"client_no_context_takeover; client_max_window_bits=9",
    b"upgrade: h2c, WebSocket\nconnection: close",
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\nsec-websocket-version: 8",
    b"host: a\nhost: b\ncontent-length: 5\ntransfer-encoding: chunked",
    b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nsec-websocket-protocol: chat",
    b"x: a\rb\x00\nset-cookie: a=b",
)


def handshake() -> Iterator[bytes]:
    for switches in (0, 1, 2, 4):
        yield from (bytes((switches,)) + head for head in HEADS)


UPGRADE = (
    b"GET /chat?a=1 HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
GET = b"GET /a%20b?c HTTP/1.1\r\nHost: test\r\n"
REQUESTS = (
    GET + b"\r\n",
    GET + b"\r\n" + GET + b"Connection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello" + GET + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n"
    b"Trailer: t\r\n\r\n" + GET + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    b"HEAD http://test/x#f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + GET + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    GET + b"X-Long: " + b"x" * 2100 + b"\r\n\r\n",
    GET + b"a: b\r\n" * 25 + b"\r\n",
    b"\x16\x03\x01\x02\x00",
    UPGRADE + frame(TEXT, b"hello") + close(1000),
    GET + b"\r\n" + UPGRADE + frame(TEXT, b"early", fin=False) + frame(CONT, b"bird"),
    UPGRADE.replace(b": 13", b": 8"),
)


def http() -> Iterator[bytes]:
    for number, wire in enumerate(REQUESTS):
        for switches in range(4):
            yield join(switches, (b"", b"\x40", b"\x29\x03")[(number + switches) % 3], wire)


def write(target: str, folder: Path) -> None:
    """Write the target's inputs, each named after its contents, as libFuzzer does."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = {"engine": engine, "handshake": handshake, "http": http}
    for data in makers[target]():
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
