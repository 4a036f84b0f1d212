"""HTTP/1.1 over real sockets: what a page needs, and what must not be believed."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from typing import Any

import httpx
import pytest

from longwire.asgi import Receive, Scope, Send
from longwire.server.config import Config
from longwire.server.default_headers import DefaultHeaders
from tests.applications import echo
from tests.conftest import Serve
from tests.waiting import stable
from tests.wire import connect, request, text

pytestmark = pytest.mark.anyio

bytewise = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])


def get(path: str = "/", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    head = [f"{method} {path} HTTP/{version}", "Host: test", *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


async def mirror(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with method, path and body."""
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event["body"]
        if not event["more_body"]:
            break
    answer = f"{scope['method']} {scope['path']} ".encode() + body
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-is", b"mirror")]})
    await send({"type": "http.response.body", "body": answer})


async def streamer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    for part in (b"one ", b"", b"two"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


@bytewise
async def test_keep_alive_and_pipelining_in_order(serve: Serve, bytewise: bool) -> None:
    async with serve(mirror) as server, connect(server) as client:
        post = get("/b", "Content-Length: 5", method="POST") + b"hello"
        await client.send(get("/a") + post + get("/c"), bytewise)
        for expected in (b"GET /a ", b"POST /b hello", b"GET /c "):
            response = await client.response()
            assert (response.status, response.body) == (200, expected)
            assert "connection" not in response.headers
        await client.send(get("/d", "Connection: close"), bytewise)
        response = await client.response()
        assert response.headers["connection"] == "close"
        assert await client.eof() == b""


async def test_a_pipelined_request_whose_body_comes_later(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        await client.send(get("/a") + get("/b", "Content-Length: 5", method="POST"))
        assert (await client.response()).body == b"GET /a "
        await client.send(b"hello")
        assert (await client.response()).body == b"POST /b hello"


@bytewise
async def test_chunked_request(serve: Serve, bytewise: bool) -> None:
    async with serve(mirror) as server, connect(server) as client:
        body = b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\n\r\n"
        await client.send(get("/", "Transfer-Encoding: chunked", method="POST") + body, bytewise)
        assert (await client.response()).body == b"POST / hello world"


@bytewise
async def test_trailers_are_dropped(serve: Serve, bytewise: bool) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await mirror(scope, receive, send)

    async with serve(app) as server, connect(server) as client:
        body = b"5\r\nhello\r\n0\r\nX-Admin: yes\r\n\r\n"
        await client.send(get("/", "Transfer-Encoding: chunked", method="POST") + body, bytewise)
        assert (await client.response()).body == b"POST / hello"
        await client.send(get("/next"))
        assert (await client.response()).body == b"GET /next "
    assert [name for name, _ in scopes[0]["headers"]] == [b"host", b"transfer-encoding"]


async def test_streamed_response_is_chunked(serve: Serve) -> None:
    async with serve(streamer) as server, connect(server) as client:
        await client.send(get())
        response = await client.response()
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.body == b"one two"
        await client.send(get(version="1.0"))
        head_and_body = await client.eof()
        assert head_and_body.endswith(b"\r\n\r\none two")
        assert b"chunked" not in head_and_body


async def test_head_has_no_body(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        await client.send(get(method="HEAD") + get("/next"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"200" in head
        assert (await client.response()).body == b"GET /next "


async def test_http_1_0_closes_unless_asked_not_to(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        await client.send(
            get(version="1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        )
        assert (await client.response()).headers["connection"] == "keep-alive"
        await client.send(get(version="1.0"))
        assert (await client.response()).headers["connection"] == "close"
        assert await client.eof() == b""


async def test_http_1_0_with_chunks_closes_even_if_asked_not_to(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        lines = ("Connection: keep-alive", "Transfer-Encoding: chunked")
        await client.send(get("/", *lines, method="POST", version="1.0") + b"2\r\nhi\r\n0\r\n\r\n")
        response = await client.response()
        assert (response.body, response.headers["connection"]) == (b"POST / hi", "close")
        assert await client.eof() == b""


async def test_100_continue_when_the_app_asks_for_the_body(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        await client.send(get("/", "Content-Length: 2", "Expect: 100-continue", method="POST"))
        assert (await client.response()).status == 100
        await client.send(b"hi")
        assert (await client.response()).body == b"POST / hi"


async def test_no_100_continue_when_the_app_does_not_want_the_body(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413})
        await send({"type": "http.response.body"})

    async with serve(app) as server, connect(server) as client:
        await client.send(get("/", "Content-Length: 2", "Expect: 100-continue", method="POST"))
        response = await client.response()
        assert response.status == 413
        assert response.headers["connection"] == "close"
        assert await client.eof() == b""


@pytest.mark.parametrize("status", [401, 413])
async def test_an_answer_before_the_end_of_the_body_is_the_last_and_is_read(
    serve: Serve, status: int
) -> None:
    """A client that goes on sending its body must not lose the answer to a reset."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b"no"})

    async with serve(app) as server:
        for _ in range(20):
            async with connect(server) as client:
                await client.send(get("/", "Content-Length: 3000000", method="POST") + b"x" * 1000)
                response = await client.response()
                assert (response.status, response.body) == (status, b"no")
                assert response.headers["connection"] == "close"
                await client.send(b"x" * 2_999_000)  # would raise after a reset
                assert await client.eof() == b""


async def test_default_headers(serve: Serve) -> None:
    async with serve(mirror, headers=((b"x-all", b"1"),)) as server, connect(server) as client:
        await client.send(get())
        headers = (await client.response()).headers
        assert headers["server"] == "longwire"
        assert headers["date"].endswith("GMT")
        assert headers["x-all"] == "1"
    async with (
        serve(mirror, server_header=False, date_header=False) as server,
        connect(server) as client,
    ):
        await client.send(get())
        assert not {"server", "date"} & (await client.response()).headers.keys()


def test_the_date_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = DefaultHeaders(Config(headers=((b"x-all", b"1"),)))
    dates = []
    for now in (0.0, 0.9, 1.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        (server, added, date) = headers.pairs()
        assert (server, added) == ((b"server", b"longwire"), (b"x-all", b"1"))
        assert headers.lines() == b"server: longwire\r\nx-all: 1\r\ndate: %b\r\n" % date[1]
        dates.append(date[1])
    assert dates[0] is dates[1]
    assert dates[1:] == [b"Thu, 01 Jan 1970 00:00:00 GMT", b"Thu, 01 Jan 1970 00:00:01 GMT"]


async def test_an_upgrade_has_the_default_headers(serve: Serve) -> None:
    async with serve(echo, headers=((b"x-all", b"1"),)) as server, connect(server) as client:
        await client.send(request("/"))
        headers = (await client.response()).headers
        assert headers["server"] == "longwire"
        assert headers["date"].endswith("GMT")
        assert headers["x-all"] == "1"


async def test_root_path_and_absolute_target(serve: Serve) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await mirror(scope, receive, send)

    async with serve(app, root_path="/api") as server, connect(server) as client:
        await client.send(get("/x?q=1") + get("http://elsewhere/y%20z"))
        assert (await client.response()).body == b"GET /api/x "
        assert (await client.response()).body == b"GET /api/y z "
    assert scopes[0]["root_path"] == "/api"
    assert scopes[0]["query_string"] == b"q=1"
    assert scopes[1]["raw_path"] == b"/api/y%20z"


async def test_requests_of_a_connection_share_no_context(serve: Serve) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = variable.get()
        variable.set(scope["path"])
        await receive()
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": found})
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": found.encode()})

    async with serve(app) as server, connect(server) as client:
        await client.send(get("/a") + get("/b") + request("/c"))
        for _ in range(2):
            assert (await client.response()).body == b"unset"
        assert (await client.response()).status == 101
        assert await client.message() == "unset"


# ---- the application's errors ---------------------------------------------------------------


async def test_app_raises_is_500_logged_once_and_nothing_leaks(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("secret")

    async with serve(app) as server, connect(server) as client:
        await client.send(get())
        response = await client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error")
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1


@pytest.mark.parametrize("is_started", [False, True], ids=["before the start", "after it"])
async def test_a_cancelled_app_answers_for_itself_and_the_connection_ends(
    serve: Serve, is_started: bool
) -> None:
    """The next response would be taken for the one that is missing."""
    paths: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        if is_started:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise asyncio.CancelledError

    async with serve(app) as server, connect(server) as client:
        await client.send(get("/a") + get("/b"))
        if is_started:
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head
            assert await client.eof() == b"4\r\npart\r\n"
        else:
            assert (await client.response()).status == 500
            assert await client.eof() == b""
    assert paths == ["/a"]


@pytest.mark.parametrize("kind", ["chunked", "length"])
async def test_app_raises_after_the_start_cuts_the_connection(serve: Serve, kind: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"100")] if kind == "length" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError

    async with serve(app) as server:
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.TransportError):
                await http.get(server.url("http"))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"type": "http.response.body"}],
        [{"type": "http.response.start"}],
        [{"type": "http.response.start", "status": "200"}],
        [{"type": "http.response.start", "status": 99}],
        [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"1\r\nb: 2")]}],
        [{"type": "http.response.start", "status": 200, "headers": [(b"a b", b"1")]}],
        [{"type": "http.response.start", "status": 200, "headers": [("a", "1")]}],
        [{"type": "websocket.accept"}],
        [
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]},
            {"type": "http.response.body", "body": b"12"},
        ],
    ],
    ids=[
        "nothing",
        "body first",
        "no status",
        "status str",
        "status 99",
        "crlf",
        "name",
        "str",
        "ws",
        "length",
    ],
)
async def test_wrong_messages_are_500(serve: Serve, messages: list[dict[str, Any]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async with serve(app) as server, connect(server) as client:
        await client.send(get())
        assert (await client.response()).status == 500


async def test_disconnect_is_told_again_and_send_raises_oserror(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []
    started, done = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        started.set()
        events.extend([await receive(), await receive()])
        done.set()
        await send({"type": "http.response.start", "status": 200})

    async with serve(app) as server, connect(server) as client:
        await client.send(get())
        await asyncio.wait_for(started.wait(), 5)  # a reset takes what was not read with it
        client.reset()
        await asyncio.wait_for(done.wait(), 5)
    assert events == [{"type": "http.disconnect"}] * 2
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


# ---- flow control ---------------------------------------------------------------------------


async def test_a_body_nobody_reads_stops_the_client(serve: Serve) -> None:
    go_on = asyncio.Event()
    total = 30_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await mirror_length(receive, send)

    async def mirror_length(receive: Receive, send: Send) -> None:
        size = 0
        while True:
            event = await receive()
            size += len(event["body"])
            if not event["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"%d" % size})

    async with serve(app) as server, connect(server) as client:
        client.writer.write(get("/", f"Content-Length: {total}", method="POST") + b"x" * total)
        await stable(client.writer.transport.get_write_buffer_size)
        assert client.writer.transport.get_write_buffer_size() > total / 2
        go_on.set()
        assert (await client.response()).body == b"%d" % total


async def test_a_client_that_reads_leaves_the_others_their_turn(serve: Serve) -> None:
    turns = 0
    at_sends: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal turns

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200})
        for _ in range(200):  # 20 KB: nobody has to read for them to be written
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
            at_sends.append(turns)
        task.cancel()
        await send({"type": "http.response.body"})

    async with serve(app) as server, connect(server) as client:
        await client.send(get())
        assert len((await client.response()).body) == 20_000
    assert 3 <= len(set(at_sends)) <= 5


async def test_a_client_that_does_not_read_stops_the_app(serve: Serve) -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        while sent < 200:
            body = b"x" * 100_000
            await send({"type": "http.response.body", "body": body, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with serve(app) as server, connect(server, receive_buffer=4096) as client:
        await client.send(get())
        stalled = await stable(lambda: sent)
        assert 0 < stalled < 200
        response = await client.response()
        assert len(response.body) == 20_000_000


async def test_a_path_cannot_forge_a_line_of_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if "raises" in scope["path"]:
            raise ValueError
        await mirror(scope, receive, send)

    path = "/%0aINFO%20forged%1b[2J%22/caf%C3%A9"
    caplog.set_level(logging.INFO, "longwire")
    async with serve(app, ws="none") as server, connect(server) as client:
        await client.send(get(path) + get("/raises" + path))
        assert (await client.response()).status == 200
        assert (await client.response()).status == 500
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3  # two requests, one error
    for message in messages:
        assert "/%0AINFO%20forged%1B%5B2J%22/caf%C3%A9" in message
        assert message.isprintable()


# ---- limits and bad input -------------------------------------------------------------------

CHUNKED = get("/", "Transfer-Encoding: chunked", method="POST")


@bytewise
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b?c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        (get("/", "Content-Length: 1", "Transfer-Encoding: chunked", method="POST"), 400),
        (get("/", "Content-Length: 1", "Content-Length: 2", method="POST"), 400),
        (get("/", "Content-Length: -1", method="POST"), 400),
        (get("/", "Content-Length: 1x", method="POST"), 400),
        (get("/", "Bad Name: 1"), 400),
        (get("/", "No-Colon"), 400),
        (get("/", "Transfer-Encoding: chunked", method="POST") + b"xyz\r\n", 400),
        (get("/", *[f"X-{i}: 1" for i in range(30)]), 431),
        (get("/", "X: " + "x" * 3000), 431),
        (CHUNKED + b"0\r\n" + b"X: 1\r\n" * 30, 431),
        (CHUNKED + b"0\r\n" + (b"X: " + b"x" * 1000 + b"\r\n") * 3, 431),
        (get("/" + "x" * 3000), 414),
        (get("nowhere"), 400),
        (get(version="2.0"), 505),
        (get("/", "Transfer-Encoding: gzip", method="POST"), 501),
        (get("/", "Transfer-Encoding: gzip, chunked", method="POST"), 501),
        (get("test:443", method="CONNECT"), 501),
        (get("http://test/", method="CONNECT"), 501),
        (get("ftp://elsewhere/"), 400),
    ],
    ids=[
        "nonsense", "version 9.9", "no host", "two hosts",
        "host with a path", "host with a user", "length and chunked", "two lengths",
        "negative length", "length 1x", "space in name", "no colon", "bad chunk",
        "too many headers", "header too long",
        "too many trailers", "trailers too long", "target too long", "target not a path",
        "version 2.0", "gzip", "gzip and chunked",
        "connect", "connect to a url", "target of another scheme",
    ],
)  # fmt: skip
async def test_bad_request(
    serve: Serve, bytewise: bool, sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serve(mirror, limit_header_count=20, limit_header_size=2000) as server,
        connect(server) as client,
    ):
        await client.send(sent, bytewise)
        assert (await client.response()).status == status
        assert await client.eof() == b""
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("start", [b"0\r\nX: ", b"1;"], ids=["trailer", "chunk extension"])
async def test_what_frames_a_body_has_an_end(serve: Serve, start: bytes) -> None:
    async with serve(mirror) as server, connect(server) as client:
        client.writer.write(CHUNKED + start + b"x" * 1_000_000)
        assert (await client.response()).status == 431
        assert await client.eof() == b""


@bytewise
@pytest.mark.parametrize("bad", [b"nonsense\r\n\r\n", CHUNKED + b"zz\r\n"], ids=["head", "body"])
@pytest.mark.parametrize("count", [1, 2])
async def test_what_came_before_a_bad_request_is_answered_first(
    serve: Serve, bytewise: bool, bad: bytes, count: int
) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await mirror(scope, receive, send)

    async with serve(app) as server, connect(server) as client:
        await client.send(get("/good") * count + bad + get("/behind"), bytewise)
        go_on.set()
        for _ in range(count):
            assert (await client.response()).body == b"GET /good "
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert await client.eof() == b""


async def test_one_pipelined_request_too_many_is_503_in_its_turn(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        await client.send(get("/a") * 80)
        for _ in range(65):  # the one that is answered, and MAX_PIPELINED behind it
            assert (await client.response()).status == 200
        assert (await client.response()).status == 503
        assert await client.eof() == b""


async def test_limit_concurrency_refuses_requests_and_upgrades(serve: Serve) -> None:
    async with serve(echo, limit_concurrency=1) as server, connect(server) as first:
        await first.send(request())
        assert (await first.response()).status == 101
        for sent in (request(), get()):
            async with connect(server) as second:
                await second.send(sent)
                assert (await second.response()).status == 503
        await first.send(text("still served"))
        assert await first.message() == "still served"


async def test_slow_head_is_408_and_silence_is_closed(serve: Serve) -> None:
    async with serve(mirror, timeout_headers=0.2) as server:
        async with connect(server) as client:
            assert await client.eof() == b""
        async with connect(server) as client:
            await client.send(b"GET / HTTP/1.1\r\nX: ")
            assert (await client.response()).status == 408
            assert await client.eof() == b""


async def test_idle_connections_are_closed(serve: Serve) -> None:
    async with serve(mirror, timeout_keep_alive=0.1) as server, connect(server) as client:
        await client.send(get())
        assert (await client.response()).status == 200
        assert await client.eof() == b""


@bytewise
@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
async def test_upgrade_to_something_else_is_served_as_http(
    serve: Serve, bytewise: bool, protocol: str
) -> None:
    """Java's client sends it with every request; ws="none" makes websocket something else."""
    upgrade = (f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings")
    async with serve(mirror, ws="none") as server, connect(server) as client:
        sent = get("/a", *upgrade)
        sent += get("/b", *upgrade, "Content-Length: 5", method="POST") + b"hello"
        chunked = get("/c", *upgrade, "Transfer-Encoding: chunked", method="POST")
        sent += chunked + b"5\r\nhello\r\n0\r\n\r\n" + get("/d")
        await client.send(sent, bytewise)
        for expected in (b"GET /a ", b"POST /b hello", b"POST /c hello", b"GET /d "):
            assert (await client.response()).body == expected


async def test_the_app_is_told_of_the_upgrade_that_is_ignored(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": dict(scope["headers"])[b"upgrade"]})

    async with serve(app) as server, connect(server) as client:
        await client.send(get("/", "Upgrade: h2c", "Connection: Upgrade"))
        assert (await client.response()).body == b"h2c"


async def test_many_upgrades_to_something_else_in_one_read(serve: Serve) -> None:
    async with serve(mirror) as server, connect(server) as client:
        await client.send(get("/", "Upgrade: h2c", "Connection: Upgrade") * 50)
        for _ in range(50):
            assert (await client.response()).body == b"GET / "


async def test_ws_none_serves_an_upgrade_as_http(serve: Serve) -> None:
    async with serve(mirror, ws="none") as server, connect(server) as client:
        await client.send(request("/x"))
        assert (await client.response()).body == b"GET /x "


async def test_a_request_pipelined_before_the_upgrade_is_answered_first(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (echo if scope["type"] == "websocket" else mirror)(scope, receive, send)

    async with serve(app) as server, connect(server) as client:
        await client.send(get("/first") + request() + text("early"))
        assert (await client.response()).body == b"GET /first "
        assert (await client.response()).status == 101
        assert await client.message() == "early"


async def test_limit_max_requests_ends_the_server(serve: Serve) -> None:
    async with serve(mirror, limit_max_requests=2) as server:
        for _ in range(2):
            async with connect(server) as client:
                await client.send(get())
                assert (await client.response()).status == 200
        await asyncio.wait_for(server.server.stopped(), 5)


async def test_shutdown_finishes_what_is_under_way(serve: Serve) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await go_on.wait()
        await mirror(scope, receive, send)

    async with serve(app) as server, connect(server) as client, connect(server) as idle:
        await client.send(get())
        await started.wait()
        ending = asyncio.create_task(server.server.finish())
        assert await idle.eof() == b""
        go_on.set()
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert await ending == 0


async def test_a_failing_answer_to_head_has_no_body(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    async with serve(app) as server, connect(server) as client:
        await client.send(get(method="HEAD"))
        answer = await client.eof()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(b"\r\n\r\n")
