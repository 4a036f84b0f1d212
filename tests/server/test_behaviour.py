"""Close, loss and error semantics: every row of the table in docs/behaviour.md, over a socket."""

from __future__ import annotations

import asyncio
import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.errors import ConnectionClosed, LifecycleError
from tests.applications import Deaf, Recorder, echo
from tests.conftest import Serve
from tests.waiting import stable
from tests.wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Ended,
    close,
    connect,
    frame,
    request,
    text,
    websocket,
)

pytestmark = [pytest.mark.anyio, pytest.mark.every_engine]

bytewise = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])


def error_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


# ---- closing by the client ------------------------------------------------------------------


@bytewise
@pytest.mark.parametrize(
    ("frame_bytes", "told", "echoed"),
    [
        (close(3001, b"bye"), (3001, "bye"), 3001),
        (close(1000), (1000, ""), 1000),
        (close(None), (1005, ""), 1005),
        (close(4999, "é".encode()), (4999, "é"), 4999),
        (close(1014), (1014, ""), 1014),
    ],
    ids=["3001 bye", "1000", "no code", "4999 non-ascii", "1014"],
)
async def test_client_closes(
    serve: Serve, bytewise: bool, frame_bytes: bytes, told: tuple[int, str], echoed: int
) -> None:
    app = Recorder()
    async with serve(app) as server, websocket(server) as client:
        await client.send(frame_bytes, bytewise)
        assert (await client.ended()).code == echoed
        assert await app.disconnect() == told


async def test_tcp_lost_without_a_close_frame_is_1006(serve: Serve) -> None:
    for lose in ("reset", "eof"):
        app = Recorder()
        async with serve(app) as server, websocket(server) as client:
            if lose == "reset":
                client.reset()
            else:
                client.writer.write_eof()
            assert (await app.disconnect())[0] == 1006


async def test_messages_before_a_close_are_answered_before_it(serve: Serve) -> None:
    async with serve(echo) as server, websocket(server) as client:
        await client.send(text("one") + text("two") + close(1000))
        assert await client.message() == "one"
        assert await client.message() == "two"
        assert await client.ended() == Ended(1000)


async def test_receive_after_the_disconnect_tells_it_again(serve: Serve) -> None:
    events = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(3):
            events.append(await asyncio.wait_for(receive(), 5))

    app = Recorder(act)
    async with serve(app) as server, websocket(server) as client:
        await client.send(close(3001, b"bye"))
        await client.ended()
        await app.disconnect()
    told = {"type": "websocket.disconnect", "code": 3001, "reason": "bye", "by": "client"}
    assert events == [told] * 3


# ---- ending by the application --------------------------------------------------------------


async def test_app_raises_after_accept_is_1011_and_logged_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise ValueError("the application's secret")

    async with serve(app) as server, websocket(server) as client:
        ended = await client.close_frame()
        assert ended.code == 1011
        assert "secret" not in ended.reason
        await client.send(close(1011))
        await client.eof()
    (record,) = error_records(caplog)
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_app_returns_after_accept_is_1000(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    async with serve(app) as server, websocket(server) as client:
        assert await client.close_frame() == Ended(1000)
        await client.send(close(1000))
        assert await client.eof() == b""


@pytest.mark.parametrize("fault", ["raises", "returns"])
async def test_app_ends_before_accept_is_500(
    serve: Serve, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if fault == "raises":
            raise ValueError("the application's secret")

    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        response = await client.response()
        assert response.status == 500
        assert b"secret" not in response.body
        assert "upgrade" not in response.headers
        assert await client.eof() == b""
    assert len(error_records(caplog)) == 1


async def test_close_before_accept_is_403_then_one_disconnect_1006(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4001})
        await receive()

    app = Recorder(act)
    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 403
        assert (await app.disconnect())[0] == 1006
    assert [event["type"] for event in app.heard] == ["websocket.connect", "websocket.disconnect"]


async def test_denial_response_is_the_apps_own(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        assert "websocket.http.response" in scope["extensions"]
        await receive()
        start = {"type": "websocket.http.response.start", "status": 401}
        await send({**start, "headers": [(b"www-authenticate", b"Bearer")]})
        body = {"type": "websocket.http.response.body"}
        await send({**body, "body": b"who ", "more_body": True})
        await send({**body, "body": b"are you?"})
        await receive()

    app = Recorder(act)
    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        response = await client.response()
        assert (response.status, response.body) == (401, b"who are you?")
        assert response.headers["www-authenticate"] == "Bearer"
        assert not {"upgrade", "sec-websocket-accept"} & response.headers.keys()
        assert (await app.disconnect())[0] == 1006
        assert await client.eof() == b""


async def test_denial_response_is_streamed(serve: Serve) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 404})
        body = {"type": "websocket.http.response.body"}
        await send({**body, "body": b"one", "more_body": True})
        await go_on.wait()
        await send({**body, "body": b"two"})

    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        head = await client.reader.readuntil(b"one\r\n")
        assert head.startswith(b"HTTP/1.1 404 ")
        go_on.set()
        assert await client.eof() == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_app_raises_inside_a_denial_is_500(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401})
        raise ValueError

    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 500


@pytest.mark.parametrize("ending", ["closed", "lost", "refused"])
async def test_send_after_the_end_raises_an_oserror_that_is_never_logged(
    serve: Serve, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if ending == "refused":
            await send({"type": "websocket.close"})
        else:
            await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "too late"})

    app = Recorder(act)
    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        await client.response()
        if ending == "lost":
            client.reset()
        elif ending == "closed":
            await client.send(close(1000))
        await asyncio.wait_for(app.ended.wait(), 5)
    assert isinstance(app.error, ConnectionClosed)
    assert isinstance(app.error, OSError)
    assert error_records(caplog) == []


ILLEGAL_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65536, -1, "1000", None]


@pytest.mark.parametrize("code", ILLEGAL_CODES)
async def test_app_closes_with_an_illegal_code_is_a_clear_error(serve: Serve, code: Any) -> None:
    errors = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await send({"type": "websocket.close", "code": code})
        except (ValueError, RuntimeError) as error:
            errors.append(str(error))
        await send({"type": "websocket.close", "code": 4000})  # the connection is still open

    async with serve(app) as server, websocket(server) as client:
        assert await client.close_frame() == Ended(4000)
    assert len(errors) == 1
    assert "close code" in errors[0]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1012, 1014, 3000, 4999])
async def test_app_closes_with_a_legal_code(serve: Serve, code: int) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code, "reason": "because"})
        await receive()

    app = Recorder(act)
    async with serve(app) as server, websocket(server) as client:
        assert await client.close_frame() == Ended(code, "because")
        await client.send(close(code))
        assert await client.eof() == b""
        assert await app.disconnect() == (code, "")


async def test_close_reason_is_cut_at_a_utf8_boundary(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000, "reason": "x" + "é" * 100})

    async with serve(app) as server, websocket(server) as client:
        ended = await client.close_frame()
        assert ended.reason == "x" + "é" * 61
        assert len(ended.reason.encode()) == 123


async def test_server_closes_tcp_when_the_close_frame_is_not_answered(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    async with serve(app, ws_close_timeout=0.2) as server, websocket(server) as client:
        assert await client.ended() == Ended(1000)


# ---- accepting ------------------------------------------------------------------------------


async def accept_with(serve: Serve, message: dict[str, Any], **headers: str) -> tuple[Any, Any]:
    errors: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.accept", **message})
        except Exception as error:
            errors.append(error)
            raise

    async with serve(app) as server, connect(server) as client:
        await client.send(request(headers=dict(headers)))
        return await client.response(), errors


async def test_accept_with_a_subprotocol_that_was_offered(serve: Serve) -> None:
    response, errors = await accept_with(
        serve, {"subprotocol": "b"}, **{"Sec-WebSocket-Protocol": "a, b"}
    )
    assert (response.status, errors) == (101, [])
    assert response.headers["sec-websocket-protocol"] == "b"


@pytest.mark.parametrize(
    "offered", [{}, {"Sec-WebSocket-Protocol": "a, b"}], ids=["none", "others"]
)
async def test_accept_with_a_subprotocol_not_offered_is_500(
    serve: Serve, offered: dict[str, str]
) -> None:
    response, errors = await accept_with(serve, {"subprotocol": "c"}, **offered)
    assert response.status == 500
    assert "'c'" in str(errors[0])


@pytest.mark.parametrize(
    "header",
    [
        (b"sec-websocket-accept", b"x"),
        (b"Sec-WebSocket-Protocol", b"x"),
        (b"x-a", b"1\r\nset-cookie: evil=1"),
        (b"x-a", b"1\nx"),
        (b"x-a", b"1\x00"),
        (b"x-a\r\nx-b", b"1"),
        (b"x a", b"1"),
        (b"", b"1"),
        (b"connection", b"close"),
    ],
)
async def test_accept_with_a_bad_header_is_500(serve: Serve, header: tuple[bytes, bytes]) -> None:
    response, errors = await accept_with(serve, {"headers": [header]})
    assert response.status == 500
    assert len(errors) == 1
    assert "evil" not in str(response.headers)


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
async def test_headers_that_answer_while_they_are_read_are_the_applications_error(
    serve: Serve, kind: str
) -> None:
    errors: list[Exception] = []
    answered = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def headers() -> Iterator[tuple[bytes, bytes]]:
            accepting: Any = send({"type": "websocket.accept"})
            with pytest.raises(StopIteration):
                accepting.send(None)
            yield b"x-room", b"blue"

        await receive()
        try:
            await send({"type": kind, "status": 401, "headers": headers()})
            await send({"type": "websocket.http.response.body"})
        except LifecycleError as error:
            errors.append(error)
        answered.set()

    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 101
        await asyncio.wait_for(answered.wait(), 5)
    assert "already" in str(errors[0])


async def test_accept_headers_arrive(serve: Serve) -> None:
    response, _ = await accept_with(serve, {"headers": [(b"x-room", b"blue")]})
    assert (response.status, response.headers["x-room"]) == (101, "blue")


# ---- refusing the handshake -----------------------------------------------------------------


@bytewise
@pytest.mark.parametrize(
    ("sent", "status", "header"),
    [
        (request(headers={"Sec-WebSocket-Version": "8"}), 426, ("sec-websocket-version", "13")),
        (request(headers={"Sec-WebSocket-Version": None}), 426, ("sec-websocket-version", "13")),
        (request(headers={"Sec-WebSocket-Key": None}), 400, None),
        (request(headers={"Sec-WebSocket-Key": "c2hvcnQ="}), 400, None),
        (request(headers={"Sec-WebSocket-Key": "?" * 24}), 400, None),
        (request(more=b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400, None),
        (request(headers={"Connection": "keep-alive"}), 400, None),
        (request(headers={"Connection": None}), 400, None),
        (request(method="POST"), 405, ("allow", "GET")),
        (request(version="1.0"), 400, None),
        (request(headers={"Host": None}), 400, None),
        (request(headers={"Sec-WebSocket-Protocol": "a b"}), 400, None),
        (request(headers={"Sec-WebSocket-Protocol": "\xff"}), 400, None),
        (request(headers={"Content-Length": "5"}), 400, None),
        (request(headers={"Transfer-Encoding": "chunked"}), 400, None),
    ],
    ids=[
        "version 8", "no version", "no key", "short key", "key not base64", "two keys",
        "no connection upgrade", "no connection", "post", "http 1.0", "no host",
        "subprotocol with space", "subprotocol not ascii", "content-length", "transfer-encoding",
    ],
)  # fmt: skip
async def test_bad_handshake(
    serve: Serve, bytewise: bool, sent: bytes, status: int, header: tuple[str, str] | None
) -> None:
    app = Recorder()
    async with serve(app) as server, connect(server) as client:
        await client.send(sent, bytewise)
        response = await client.response()
        assert response.status == status
        if header is not None:
            assert response.headers[header[0]] == header[1]
        assert await client.eof() == b""
    assert app.heard == []


# ---- what breaks the protocol ---------------------------------------------------------------

FAULTS: dict[str, tuple[bytes, int]] = {
    "unmasked frame": (frame(TEXT, b"x", mask=None), 1002),
    "rsv1 without deflate": (frame(TEXT, b"x", rsv=4), 1002),
    "rsv2": (frame(TEXT, b"x", rsv=2), 1002),
    "rsv3": (frame(TEXT, b"x", rsv=1), 1002),
    "opcode 3": (frame(3, b"x"), 1002),
    "opcode 11": (frame(11, b"x"), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "close of 1 byte": (frame(CLOSE, b"x"), 1002),
    "close of 126 bytes": (frame(CLOSE, struct.pack("!H", 1000) + b"x" * 124), 1002),
    "16-bit length for 5 bytes": (frame(TEXT, b"hello", form=2), 1002),
    "64-bit length for 5 bytes": (frame(TEXT, b"hello", form=8), 1002),
    "64-bit length with its top bit": (frame(TEXT, b"", form=8, length=1 << 63), 1002),
    "continuation of nothing": (frame(CONT, b"x"), 1002),
    "message inside a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "close code 999": (close(999), 1002),
    "close code 1005": (close(1005), 1002),
    "close code 1006": (close(1006), 1002),
    "close code 1015": (close(1015), 1002),
    "close code 2999": (close(2999), 1002),
    "close code 5000": (close(5000), 1002),
    "close reason not utf-8": (close(1000, b"\xff"), 1007),
    "text not utf-8": (frame(TEXT, b"a\xffb"), 1007),
    "text cut off inside a character": (frame(TEXT, "é".encode()[:1]), 1007),
    "bad byte in the second fragment": (frame(TEXT, b"a", fin=False) + frame(CONT, b"\xff"), 1007),
    "bad byte before the frame is whole": (frame(TEXT, b"\xff", length=100), 1007),
    "bad byte across fragments": (
        frame(TEXT, b"\xe0", fin=False) + frame(CONT, b"\x80", fin=False),
        1007,
    ),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "message over the limit": (frame(BINARY, b"", length=1001), 1009),
    "fragments over the limit": (
        frame(BINARY, b"x" * 600, fin=False) + frame(CONT, b"", length=401),
        1009,
    ),
}


@bytewise
@pytest.mark.parametrize("name", FAULTS)
async def test_protocol_fault(serve: Serve, bytewise: bool, name: str) -> None:
    sent, code = FAULTS[name]
    app = Recorder()
    async with (
        serve(app, ws_max_size=1000, ws_per_message_deflate=False) as server,
        websocket(server) as client,
    ):
        await client.send(sent, bytewise)
        ended = await client.close_frame()
        assert ended.code == code
        told, reason = await app.disconnect()
        assert (told, reason) == (1006, ended.reason)
        assert reason  # the cause


async def test_a_fault_is_told_even_if_the_client_goes_on_sending(serve: Serve) -> None:
    async with serve(echo, ws_max_size=1000) as server, websocket(server) as client:
        await client.send(frame(BINARY, b"x" * 200_000))
        assert (await client.close_frame()).code == 1009


# ---- keepalive ------------------------------------------------------------------------------


async def test_no_pong_in_time_is_1011(serve: Serve) -> None:
    app = Recorder()
    async with (
        serve(app, ws_ping_interval=0.1, ws_ping_timeout=0.2) as server,
        websocket(server) as client,
    ):
        assert (await client.frame()).opcode == PING
        assert await client.close_frame() == Ended(1011, "keepalive ping timeout")
        assert await app.disconnect() == (1006, "keepalive ping timeout")


async def test_pongs_keep_the_connection(serve: Serve) -> None:
    async with (
        serve(echo, ws_ping_interval=0.1, ws_ping_timeout=60) as server,
        websocket(server) as client,
    ):
        for number in range(1, 9):  # the next one comes only once the last was answered
            ping = await client.frame()
            assert (ping.opcode, int.from_bytes(ping.payload, "big")) == (PING, number)
            await client.send(frame(PONG, ping.payload))
        await client.send(text("still here"))
        assert await client.message() == "still here"


async def test_a_pong_nobody_asked_for_is_ignored(serve: Serve) -> None:
    async with serve(echo) as server, websocket(server) as client:
        await client.send(frame(PONG, b"what") + text("hello"))
        assert await client.message() == "hello"


@bytewise
async def test_a_ping_is_answered_with_its_payload(serve: Serve, bytewise: bool) -> None:
    async with serve(echo) as server, websocket(server) as client:
        await client.send(frame(TEXT, b"a", fin=False) + frame(PING, b"tick"), bytewise)
        pong = await client.frame()
        assert (pong.opcode, pong.payload) == (PONG, b"tick")
        await client.send(frame(CONT, b"b"))
        assert await client.message() == "ab"


async def test_a_busy_handler_does_not_cut_a_healthy_peer(serve: Serve) -> None:
    """With messages waiting, pongs and the close frame are still read."""
    app = Deaf()
    async with (
        serve(app, ws_ping_interval=0.1, ws_ping_timeout=60) as server,
        websocket(server) as client,
    ):
        await client.send(text("waits") * 10)
        for number in range(1, 6):
            ping = await client.frame()
            assert (ping.opcode, int.from_bytes(ping.payload, "big")) == (PING, number)
            await client.send(frame(PONG, ping.payload))
        await client.send(close(3001))
        assert (await client.close_frame()).code == 3001
        app.go_on.set()
        assert await app.disconnect() == (3001, "")
        assert app.messages == ["waits"] * 10


async def test_a_peer_whose_flood_stopped_our_reading_is_not_cut(serve: Serve) -> None:
    app = Deaf()
    async with (
        serve(app, ws_ping_interval=0.1, ws_ping_timeout=0.1) as server,
        connect(server) as client,
    ):
        # More than ws_max_queue, and there before the first ping, however late we are.
        await client.send(request() + text("waits") * 100)
        assert (await client.response()).status == 101
        await client.send(frame(PONG, (await client.frame()).payload))
        await asyncio.sleep(0.5)  # several timeouts pass while the pongs lie unread
        app.go_on.set()
        await client.send(close(1000))
        assert await app.disconnect() == (1000, "")
        assert len(app.messages) == 100


@pytest.mark.parametrize("count", [100, 100_000], ids=["what was read", "what was not read yet"])
async def test_the_answer_to_our_close_is_read_behind_messages_nobody_receives(
    serve: Serve, count: int
) -> None:
    """The inbox is full, and reading has stopped, when the application closes."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go_on.wait()
        await send({"type": "websocket.close", "code": 1008})

    async with serve(app, ws_close_timeout=60) as server, websocket(server) as client:
        client.writer.write(text("waits") * count)
        await stable(client.writer.transport.get_write_buffer_size)
        go_on.set()
        assert (await client.close_frame()).code == 1008
        await client.send(close(1008))
        assert await client.eof() == b""


# ---- the handshake's bytes, the scope -------------------------------------------------------


async def test_bytes_that_arrive_with_the_handshake_are_not_lost(serve: Serve) -> None:
    async with serve(echo) as server, connect(server) as client:
        await client.send(request() + text("early") + frame(TEXT, b"half", length=8)[:-2])
        assert (await client.response()).status == 101
        assert await client.message() == "early"


async def test_nothing_is_read_into_the_app_before_accept(serve: Serve) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "websocket.connect"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.1)
        go_on.set()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with serve(app) as server, connect(server) as client:
        await client.send(request() + text("early"))
        await go_on.wait()
        assert (await client.response()).status == 101
        assert await client.message() == "early"


async def test_client_leaves_before_accept(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    app = Recorder(act)
    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        while not app.heard:
            await asyncio.sleep(0)
        client.reset()
        assert (await app.disconnect())[0] == 1006


async def test_an_app_that_does_not_answer_is_503(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    app = Recorder(act)
    async with serve(app, ws_handshake_timeout=0.1) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 503
        assert (await app.disconnect())[0] == 1006


async def test_scope(serve: Serve) -> None:
    app = Recorder()
    headers: dict[str, str | None] = {"X-Mixed-Case": "Value", "Sec-WebSocket-Protocol": "a, b"}
    async with (
        serve(app) as server,
        connect(server) as client,
    ):
        server.state.lifespan_state["shared"] = "thing"
        sent = request("/caf%C3%A9/x%20y?a=1&a=%202", headers=headers)
        await client.send(sent.replace(b"b\r\n", b"b\r\nSec-WebSocket-Protocol: c\r\n", 1))
        assert (await client.response()).status == 101
        scope = app.scope
        assert scope["type"] == "websocket"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert scope["scheme"] == "ws"
        assert scope["path"] == "/café/x y"
        assert scope["raw_path"] == b"/caf%C3%A9/x%20y"
        assert scope["query_string"] == b"a=1&a=%202"
        assert scope["subprotocols"] == ["a", "b", "c"]
        assert (b"x-mixed-case", b"Value") in scope["headers"]
        assert scope["http_version"] == "1.1"
        assert scope["client"] == client.socket.getsockname()
        assert scope["server"] == (server.host, server.port)
        assert "websocket.http.response" in scope["extensions"]
        scope["state"]["shared"] = "changed"
        assert server.state.lifespan_state == {"shared": "thing"}


async def test_a_path_cannot_forge_a_line_of_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"].endswith("accepts"):
            await send({"type": "websocket.accept"})
        raise ValueError

    caplog.set_level(logging.INFO, "longwire")
    async with serve(app) as server:
        async with websocket(server, "/%0aforged/accepts") as client:
            await client.send(close(1000))
            await client.ended()
        async with connect(server) as client:
            await client.send(request("/%0aforged"))
            assert (await client.response()).status == 500
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 5  # opened, raised, closed; raised, refused
    assert all("/%0Aforged" in message and message.isprintable() for message in messages)


# ---- ASGI messages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": "a", "bytes": b"a"},
        {"type": "websocket.send", "text": b"a"},
        {"type": "websocket.send", "bytes": "a"},
        {"type": "websocket.accept"},
        {"type": "websocket.http.response.start", "status": 200},
        {"type": "http.response.start"},
        {"text": "a"},
        {"type": 5},
    ],
)
async def test_a_wrong_message_is_a_clear_error_and_nothing_is_sent(
    serve: Serve, message: dict[str, Any]
) -> None:
    errors: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await send(message)
        except RuntimeError as error:
            errors.append(error)
        await send({"type": "websocket.send", "text": "right"})

    async with serve(app) as server, websocket(server) as client:
        assert await client.message() == "right"
    assert len(errors) == 1


@bytewise
@pytest.mark.parametrize(
    "message", ["", b"", "hello", "héllo wörld", b"\x00\xff", "x" * 70_000, b"y" * 200]
)
async def test_echo(serve: Serve, bytewise: bool, message: str | bytes) -> None:
    if bytewise and len(message) > 1000:
        message = message[:1000]
    payload = message.encode() if isinstance(message, str) else message
    async with serve(echo) as server, websocket(server) as client:
        await client.send(frame(TEXT if isinstance(message, str) else BINARY, payload), bytewise)
        assert await client.message() == message


# ---- deflate --------------------------------------------------------------------------------


def deflate(serve: Serve, offer: str, app: Callable[..., Any] = echo, **options: Any) -> Any:
    import contextlib

    @contextlib.asynccontextmanager
    async def opened() -> Any:
        async with serve(app, **options) as server, connect(server) as client:
            await client.send(request(headers={"Sec-WebSocket-Extensions": offer}))
            response = await client.response()
            assert response.status == 101
            yield client, response.headers.get("sec-websocket-extensions")

    return opened()


OFFER = "permessage-deflate; client_max_window_bits"


async def test_deflate_is_accepted_with_the_configured_windows(serve: Serve) -> None:
    async with deflate(serve, OFFER, ws_deflate_window_bits=10) as (_, answer):
        assert answer == (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"
        )


@pytest.mark.parametrize("offer", [OFFER, "permessage-deflate"])
async def test_deflate_without_context_takeover(serve: Serve, offer: str) -> None:
    """Equal messages are equal on the wire: none refers to the one before it."""
    async with deflate(serve, offer, ws_deflate_no_context_takeover=True) as (client, answer):
        assert "; server_no_context_takeover; client_no_context_takeover" in answer
        message = zlib.compressobj(9, zlib.DEFLATED, -12)
        data = (message.compress(b"words " * 100) + message.flush(zlib.Z_SYNC_FLUSH))[:-4]
        answers = []
        for _ in range(2):
            await client.send(frame(TEXT, data, rsv=4))
            answers.append((await client.frame()).payload)
        assert answers[0] == answers[1]
        assert zlib.decompressobj(-12).decompress(answers[0]) == b"words " * 100


async def test_deflate_can_be_off(serve: Serve) -> None:
    async with deflate(serve, OFFER, ws_per_message_deflate=False) as (client, answer):
        assert answer is None
        await client.send(text("x" * 1000))
        assert (await client.frame()).rsv == 0


async def test_deflate_has_a_threshold(serve: Serve) -> None:
    async with deflate(serve, OFFER, ws_deflate_threshold=100) as (client, _):
        for size, rsv in ((99, 0), (100, 4)):
            await client.send(text("x" * size))
            assert (await client.frame()).rsv == rsv


@pytest.mark.parametrize(("level", "memory_level"), [(0, 5), (1, 5), (6, 1)])
async def test_deflate_compresses_as_hard_as_it_is_told(
    serve: Serve, level: int, memory_level: int
) -> None:
    message = " ".join(str(number**3) for number in range(500))

    def compressed(level: int, memory_level: int) -> bytes:
        compressor = zlib.compressobj(level, zlib.DEFLATED, -12, memory_level)
        return (compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    assert compressed(level, memory_level) not in (compressed(6, 5), compressed(6, 8))
    opened = deflate(serve, OFFER, ws_deflate_level=level, ws_deflate_memory_level=memory_level)
    async with opened as (client, _):
        await client.send(text(message))
        assert (await client.frame()).payload == compressed(level, memory_level)


async def test_deflate_per_route(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert "longwire.compression" in scope["extensions"]
        await receive()
        await send({"type": "websocket.accept", "compress": False})

    async with deflate(serve, OFFER, app) as (_, answer):
        assert answer is None


async def test_deflate_per_message(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for compress in (True, False):
            await send({"type": "websocket.send", "text": "x" * 1000, "compress": compress})

    async with deflate(serve, OFFER, app) as (client, _):
        assert (await client.frame()).rsv == 4
        assert (await client.frame()).rsv == 0


async def test_message_over_the_limit_after_inflation_is_1009(serve: Serve) -> None:
    async with deflate(serve, OFFER, ws_max_size=10_000) as (client, _):
        compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
        data = compressor.compress(b"x" * 10_001) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert len(data) < 100
        await client.send(frame(TEXT, data[:-4], rsv=4))
        assert (await client.close_frame()).code == 1009


async def test_a_route_has_a_compression_budget_of_its_own(serve: Serve) -> None:
    asked = {"window_bits": 9, "threshold": 500, "no_context_takeover": True, "level": 9}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "compress": asked})
        for size in (499, 500):
            await send({"type": "websocket.send", "text": "x" * size})

    async with serve(app, ws_deflate_threshold=0) as server, connect(server) as client:
        await client.send(request(headers={"Sec-WebSocket-Extensions": OFFER}))
        response = await client.response()
        agreed = response.headers["sec-websocket-extensions"]
        assert "server_max_window_bits=9" in agreed
        assert "server_no_context_takeover" in agreed
        sizes = [(frame.rsv, len(frame.payload)) for frame in [await client.frame() for _ in "12"]]
        assert sizes[0] == (0, 499)
        assert sizes[1][0] == 4
        assert sizes[1][1] < 50


@pytest.mark.parametrize(
    "compress", [{"window": 9}, {"level": 10}, {"window_bits": 8}, {"level": "9"}]
)
async def test_a_compression_budget_that_cannot_be_is_the_applications_error(
    serve: Serve, caplog: pytest.LogCaptureFixture, compress: Any
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "compress": compress})

    async with serve(app) as server, connect(server) as client:
        await client.send(request())
        assert (await client.response()).status == 500
    (record,) = error_records(caplog)
    assert "LifecycleError" in str(record.exc_info) or "LocalProtocolError" in str(record.exc_info)


async def test_an_application_that_closes_on_a_message_read_with_a_close(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    async with serve(app) as server, websocket(server) as client:
        await client.send(text("x") + close(1000))
        assert (await client.ended()).code in (1000, 1008)
    assert not error_records(caplog)


async def test_a_close_between_fragments_is_a_close(serve: Serve) -> None:
    app = Recorder()
    async with serve(app) as server, websocket(server) as client:
        await client.send(frame(TEXT, b"half", fin=False) + close(1001))
        assert (await client.ended()).code == 1001
        assert await app.disconnect() == (1001, "")
