"""Guards: who gets in, with which answer, and what ends a connection that was let in."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute, websocket_app
from longwire.asgi import ASGIApp, Receive, Scope, Send
from longwire.toolkit import (
    ANY_ORIGIN,
    AllowedOrigins,
    ConnectionRate,
    MaxSize,
    MessageRate,
    Refusal,
    Source,
    Token,
    from_cookie,
    from_first_message,
    from_header,
    from_query,
    from_subprotocol,
    one_of,
)
from longwire.toolkit.testing import AsyncTestClient, Denied
from tests.conftest import Serve
from tests.wire import Ended, connect, request, text, websocket

pytestmark = pytest.mark.anyio

USERS = one_of(alice="sesame", bob="swordfish")


async def greet(ws: WebSocket) -> None:
    """Accept, say who is there, echo."""
    await ws.accept()
    await ws.send_text(f"hello {ws.scope.get('user', 'stranger')}")
    async for message in ws.iter_text():
        await ws.send_text(message)


async def status(app: ASGIApp, url: str = "/", **options: Any) -> int:
    """Return the status of the refusal, or 101."""
    client = AsyncTestClient(app)
    try:
        async with client.websocket_connect(url, **options) as ws:
            await ws.receive_text()
    except Denied as denied:
        return int(denied.status_code)
    return 101


# ---- origins --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://testserver", True),
        ("HTTP://TESTSERVER", True),
        ("http://testserver:80", True),
        ("https://friend.example", True),
        ("https://friend.example:443", True),
        ("https://friend.example:444", False),
        ("http://friend.example", False),
        ("https://friend.example.evil.com", False),
        ("https://evil.com/friend.example", False),
        ("https://friend.example@evil.com", False),
        ("https://evilfriend.example", False),
        ("http://testserver.evil.com", False),
        ("http://testserver:8000", False),
        ("null", False),
        ("", False),
        ("*", False),
        ("https://", False),
        ("https://friend.example/", False),
        ("https://friend.example?", False),
        ("https://friend.example:", False),
        ("https://friend.example, https://evil.com", False),
        ("https://[::1", False),
        ("https://friend.example:99999", False),
        ("https://fr\u00efend.example", False),
        ("http://testserver\x0b", False),
    ],
)
async def test_origin(origin: str | None, allowed: bool) -> None:
    app = websocket_app(greet, origins=["https://friend.example"])
    headers = {} if origin is None else {"Origin": origin}
    assert await status(app, headers=headers) == (101 if allowed else 403)


async def test_cross_site_websocket_hijacking_is_refused_by_default(serve: Serve) -> None:
    """socket.io CVE-2020-28481 and its many kin: a page of any site used the visitor's cookies."""
    app = Starlette(routes=[WebSocketRoute("/", greet)])
    async with serve(app) as server:
        for origin, expected in (("http://evil.example", 403), ("http://test", 101)):
            async with connect(server) as client:
                await client.send(request(headers={"Origin": origin, "Cookie": "session=alice"}))
                assert (await client.response()).status == expected


async def test_two_origins_are_none(serve: Serve) -> None:
    async with serve(websocket_app(greet)) as server, connect(server) as client:
        await client.send(request(more=b"Origin: http://test\r\nOrigin: http://evil.example\r\n"))
        assert (await client.response()).status == 403


async def test_origin_options() -> None:
    evil = {"Origin": "https://evil.example"}
    assert await status(websocket_app(greet, origins=[ANY_ORIGIN]), headers=evil) == 101
    required = AllowedOrigins(is_required=True)
    assert await status(websocket_app(greet, origins=required)) == 403
    listed = AllowedOrigins(["https://a.example"], same_origin=False)
    own = {"Origin": "http://testserver"}
    assert await status(websocket_app(greet, origins=listed), headers=own) == 403


@pytest.mark.parametrize("origin", ["example.com", "*.example.com", "https://a.example/x", ""])
async def test_a_list_of_origins_that_are_none_is_refused_at_once(origin: str) -> None:
    with pytest.raises(ValueError, match='an origin is "scheme://host"'):
        AllowedOrigins([origin])


async def test_a_refused_origin_is_logged_without_line_breaks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "longwire.guards"):
        await status(websocket_app(greet), "/%0aevil", headers={"Origin": "https://e\x85vil"})
    (record,) = caplog.records
    assert "list it in origins=" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert "\x85" not in record.getMessage()


# ---- tokens ---------------------------------------------------------------------------------

SOURCES: dict[str, tuple[Source, Callable[[str], dict[str, Any]]]] = {
    "header": (from_header(), lambda t: {"headers": {"Authorization": f"Bearer {t}"}}),
    "own header": (from_header("X-Key", None), lambda t: {"headers": {"X-Key": t}}),
    "cookie": (from_cookie("session"), lambda t: {"cookies": {"session": t}}),
    "query": (from_query(), lambda t: {"url": f"/?a=1&token={t}"}),
    "subprotocol": (from_subprotocol(), lambda t: {"subprotocols": ["bearer", t]}),
}


@pytest.mark.parametrize("place", SOURCES)
async def test_a_token_from_everywhere(place: str) -> None:
    source, sending = SOURCES[place]
    app = websocket_app(greet, guards=[Token(USERS, source)], subprotocols=["bearer"])
    async with AsyncTestClient(app).websocket_connect(**{"url": "/", **sending("sesame")}) as ws:
        assert await ws.receive_text() == "hello alice"
        assert "sesame" not in str({**ws.scope, "headers": []})
    assert await status(app, **sending("wrong")) == 403
    assert await status(app, **sending("")) == 401
    assert await status(app) == 401


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": "Basic sesame"}},
        {"headers": {"Authorization": "Bearer"}},
        {"headers": {"Authorization": "sesame"}},
        {"url": "/?token=sesame&token=sesame"},
        {"subprotocols": ["bearer"]},
        {"subprotocols": ["sesame", "bearer"]},
        {"subprotocols": ["bearer", "bearer", "sesame"]},
    ],
)
async def test_a_token_in_the_wrong_shape_is_none(options: dict[str, Any]) -> None:
    app = websocket_app(
        greet, guards=[Token(USERS, from_header(), from_query(), from_subprotocol())]
    )
    assert await status(app, **options) == 401


async def test_a_401_names_the_way_in() -> None:
    with pytest.raises(Denied) as caught:
        async with AsyncTestClient(websocket_app(greet, guards=[Token(USERS)])).websocket_connect(
            "/"
        ):
            pass
    assert caught.value.headers["www-authenticate"] == "Bearer"
    assert caught.value.text == "a token is needed"


async def test_the_first_source_that_has_a_token_decides() -> None:
    app = websocket_app(greet, guards=[Token(USERS, from_header(), from_query())])
    wrong = {"Authorization": "Bearer wrong"}
    assert await status(app, "/?token=sesame", headers=wrong) == 403
    assert await status(app, "/?token=sesame") == 101


@pytest.mark.parametrize("verify", ["sync", "async"])
async def test_a_verifier_that_cannot_decide_refuses(verify: str) -> None:
    def down(token: str) -> str:
        raise ConnectionError("the database is down")

    async def down_async(token: str) -> str:
        return down(token)

    guard = Token(down if verify == "sync" else down_async, from_query())
    assert await status(websocket_app(greet, guards=[guard]), "/?token=sesame") == 503


async def test_credentials_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """websockets CVE-2021-33880: the time of a comparison told how much of a password was right."""
    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return a == b

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert USERS("sesame") == "alice"
    assert USERS("s\u00e9same") is None
    assert compared == [b"sesame", b"swordfish"] * 2


async def test_a_query_token_is_in_no_scope_and_no_url() -> None:
    seen: list[str] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        seen.append(f"{ws.url} {ws.query_params} {ws.scope['query_string']!r}")
        await ws.send_text("x")

    app = websocket_app(handler, guards=[Token(USERS, from_query())])
    assert await status(app, "/?a=%C3%A9&token=sesame&b=") == 101
    (line,) = seen
    assert "sesame" not in line
    assert "a=%C3%A9&token=***&b=" in line


@pytest.mark.parametrize(
    "guards",
    [
        [Token(USERS, from_query())],
        [Token(USERS, from_query()), Token(USERS, from_query())],
        [Token(USERS, from_header(), from_query())],
    ],
    ids=["alone", "twice", "behind another source"],
)
@pytest.mark.parametrize("origins", [(), AllowedOrigins(close_code=4403)], ids=["403", "4403"])
async def test_a_query_token_is_hidden_whoever_answers(
    guards: list[Token[str]], origins: Any
) -> None:
    """Servers log the query when the handshake is answered, be it refused by another guard."""
    answered: list[str] = []
    app = websocket_app(greet, origins=origins, guards=guards)

    async def logging_app(scope: Scope, receive: Receive, send: Send) -> None:
        async def logged_send(message: Any) -> None:
            answered.append(scope["query_string"].decode())
            await send(message)

        await app(scope, receive, logged_send)

    with_header = {"Authorization": "Bearer swordfish"}
    assert await status(logging_app, "/?token=sesame", headers=with_header) == 101
    crossing = {**with_header, "Origin": "http://evil.example"}
    with contextlib.suppress(WebSocketDisconnect):
        assert await status(logging_app, "/?token=sesame", headers=crossing) == 403
    assert set(answered) == {"token=***"}


# ---- the first message ----------------------------------------------------------------------


async def test_a_token_in_the_first_message() -> None:
    app = websocket_app(greet, guards=[Token(USERS, from_first_message())])
    async with AsyncTestClient(app).websocket_connect("/") as ws:
        await ws.send_text("sesame")
        assert await ws.receive_text() == "hello alice"
        await ws.send_text("on")
        assert await ws.receive_text() == "on"


@pytest.mark.parametrize("first", ["wrong", "", b"sesame"])
async def test_a_wrong_first_message_closes(first: str | bytes) -> None:
    app = websocket_app(greet, guards=[Token(USERS, from_first_message())])
    async with AsyncTestClient(app).websocket_connect("/") as ws:
        await (ws.send_bytes(first) if isinstance(first, bytes) else ws.send_text(first))
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert caught.value.code == 1008


async def test_the_first_message_has_a_deadline(serve: Serve) -> None:
    app = websocket_app(greet, guards=[Token(USERS, from_first_message(0.05), close_code=4401)])
    async with serve(app) as server, websocket(server) as client:
        assert await client.close_frame() == Ended(4401, "a token is needed")


async def test_a_client_that_leaves_instead_is_nobodys_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app = websocket_app(greet, guards=[Token(USERS, from_first_message())])
    async with serve(app) as server:
        async with websocket(server) as client:
            client.reset()
        await asyncio.wait_for(server.state.idle.wait(), 5)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# ---- refusals -------------------------------------------------------------------------------


async def test_accept_then_close_where_chosen(serve: Serve) -> None:
    app = websocket_app(greet, guards=[Token(USERS, close_code=4401)])
    async with serve(app) as server, websocket(server) as client:
        assert await client.close_frame() == Ended(4401, "a token is needed")


@pytest.mark.parametrize("around", ["starlette", "nothing"])
@pytest.mark.parametrize("can_deny", [True, False])
async def test_a_server_that_cannot_deny_answers_403(around: str, can_deny: bool) -> None:
    route = WebSocketRoute("/", greet, guards=[Token(USERS)])
    inner: ASGIApp = Starlette(routes=[route]) if around == "starlette" else route

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not can_deny:
            del scope["extensions"]["websocket.http.response"]
        await inner(scope, receive, send)

    assert await status(app) == (401 if can_deny else 403)


async def test_the_applications_own_handler_answers_a_refusal() -> None:
    async def page(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("log in first", 401)

    app = Starlette(
        routes=[WebSocketRoute("/", greet, guards=[Token(USERS)])],
        exception_handlers={Refusal: page},
    )
    with pytest.raises(Denied) as caught:
        async with AsyncTestClient(app).websocket_connect("/"):
            pass
    assert caught.value.text == "log in first"


async def test_guards_are_asked_in_order_and_the_first_refusal_ends_it() -> None:
    asked: list[str] = []

    def guard(name: str, refuses: bool) -> Callable[[Any], Awaitable[None]]:
        async def ask(connection: Any) -> None:
            asked.append(name)
            if refuses:
                raise Refusal(418, name)

        return ask

    guards = [guard("a", False), guard("b", True), guard("c", False)]
    assert await status(websocket_app(greet, guards=guards)) == 418
    assert asked == ["a", "b"]


# ---- expiry ---------------------------------------------------------------------------------


async def test_an_expired_token_is_refused_and_a_living_one_closes_in_time() -> None:
    expired = Token(USERS, from_query(), expires=lambda name: time.time() - 1)
    assert await status(websocket_app(greet, guards=[expired]), "/?token=sesame") == 401
    until: list[float] = []

    def expires(name: str) -> float:
        until.append(time.time() + 0.1)
        return until[0]

    guard = Token(USERS, from_query(), expires=expires)
    async with AsyncTestClient(websocket_app(greet, guards=[guard])).websocket_connect(
        "/?token=sesame"
    ) as ws:
        assert await ws.receive_text() == "hello alice"
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert (caught.value.code, caught.value.reason) == (1008, "the token has expired")
        assert time.time() >= until[0]


@pytest.mark.parametrize("how", ["revoked", "backend down"])
async def test_a_token_that_is_revoked_closes_at_the_next_check(how: str) -> None:
    known = {"sesame": "alice"}

    def verify(token: str) -> str | None:
        if how == "backend down" and not known:
            raise ConnectionError
        return known.get(token)

    guard = Token(verify, from_query(), recheck=0.02, close_code=4403)
    async with AsyncTestClient(websocket_app(greet, guards=[guard])).websocket_connect(
        "/?token=sesame"
    ) as ws:
        assert await ws.receive_text() == "hello alice"
        for number in range(3):
            await asyncio.sleep(0.03)
            await ws.send_text(str(number))
            assert await ws.receive_text() == str(number)
        known.clear()
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert caught.value.code == 4403


async def test_watching_a_token_ends_with_the_connection() -> None:
    seen: list[weakref.ref[WebSocket]] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(weakref.ref(ws))
        await greet(ws)

    guard = Token(USERS, from_query(), expires=lambda name: time.time() + 3600)
    before = asyncio.all_tasks()
    app = websocket_app(handler, guards=[guard])
    async with AsyncTestClient(app).websocket_connect("/?token=sesame") as ws:
        assert await ws.receive_text() == "hello alice"
        assert len(asyncio.all_tasks() - before) == 2  # the application's and the watcher
    del ws
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[0]() is None
    assert asyncio.all_tasks() == before


# ---- limits ---------------------------------------------------------------------------------


async def test_message_rate_closes_with_1008_and_the_handler_hears_it() -> None:
    now = [0.0]
    heard: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except WebSocketDisconnect as error:
            heard.append((error.code, await ws.closed))

    guard = MessageRate(3, per=60, clock=lambda: now[0])
    app = websocket_app(handler, guards=[guard])
    async with AsyncTestClient(app).websocket_connect("/") as ws:
        for number in range(5):
            now[0] = 20.0 * number  # one more each 20 s
            await ws.send_text("x")
            assert await ws.receive_text() == "x"
        for _ in range(3):  # two are left
            await ws.send_text("x")
        assert [await ws.receive_text(), await ws.receive_text()] == ["x", "x"]
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert caught.value.code == 1008
        assert caught.value.reason == "more than 3 messages in 60 s"
    assert heard[0][0] == 1008
    assert heard[0][1].by.value == "application"


async def test_connections_have_their_own_message_rate() -> None:
    app = websocket_app(greet, guards=[MessageRate(2, clock=lambda: 0.0)])
    client = AsyncTestClient(app)
    async with client.websocket_connect("/") as one, client.websocket_connect("/") as other:
        for ws in (one, other):
            await ws.receive_text()
            for _ in range(2):
                await ws.send_text("x")
                assert await ws.receive_text() == "x"


@pytest.mark.parametrize(
    ("message", "fits"),
    [("x" * 10, True), ("x" * 11, False), ("é" * 5, True), ("é" * 6, False), (b"x" * 10, True),
     (b"x" * 11, False), ("", True)],
)  # fmt: skip
async def test_max_size_counts_utf8_bytes(message: str | bytes, fits: bool) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        await ws.send_text("fits")

    async with AsyncTestClient(websocket_app(handler, max_size=10)).websocket_connect("/") as ws:
        await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_text(message))
        answer = await ws.receive()
        assert answer.get("text") == ("fits" if fits else None)
        assert answer.get("code") == (None if fits else 1009)


async def test_connection_rate_is_429_with_retry_after() -> None:
    now = [0.0]
    app = websocket_app(greet, guards=[ConnectionRate(2, per=10, clock=lambda: now[0])])
    assert [await status(app) for _ in range(3)] == [101, 101, 429]
    with pytest.raises(Denied) as caught:
        async with AsyncTestClient(app).websocket_connect("/"):
            pass
    assert caught.value.headers["retry-after"] == "6"
    now[0] = 5.0
    assert [await status(app) for _ in range(2)] == [101, 429]


async def test_connection_rate_remembers_a_bounded_number_of_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("longwire.toolkit.guards.limits.MAX_CLIENTS", 5)
    addresses = iter(range(100))
    guard = ConnectionRate(1, key=lambda connection: str(next(addresses)))
    app = websocket_app(greet, guards=[guard])
    assert {await status(app) for _ in range(50)} == {101}
    assert len(guard._buckets) == 5


@pytest.mark.parametrize(
    "make",
    [lambda: MessageRate(0), lambda: MessageRate(1, per=0), lambda: ConnectionRate(-1),
     lambda: MaxSize(0)],
)  # fmt: skip
async def test_limits_that_cannot_be(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        make()


async def test_guards_over_the_real_server(serve: Serve) -> None:
    app = Starlette(
        routes=[
            WebSocketRoute("/{room}", greet, guards=[Token(USERS), MessageRate(2)], max_size=100)
        ]
    )
    async with serve(app) as server:
        async with connect(server) as client:
            await client.send(request("/room"))
            assert (await client.response()).status == 401
        headers: dict[str, str | None] = {"Authorization": "Bearer swordfish"}
        async with websocket(server, "/room", headers=headers) as client:
            assert await client.message() == "hello bob"
            await client.send(text("1") + text("2") + text("3"))
            assert [await client.message(), await client.message()] == ["1", "2"]
            assert await client.close_frame() == Ended(1008, "more than 2 messages in 60 s")


# ---- found by review ------------------------------------------------------------------------


async def test_a_verifier_that_says_false_refuses() -> None:
    app = websocket_app(greet, guards=[Token(lambda token: token == "good", from_query())])
    assert await status(app, "/?token=WRONG") == 403
    assert await status(app, "/?token=good") == 101


async def test_a_verifier_that_hangs_has_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longwire.toolkit.guards.tokens.VERIFY_TIMEOUT", 0.05)

    async def hangs(token: str) -> str:
        await asyncio.sleep(1000)
        return token

    assert (
        await status(websocket_app(greet, guards=[Token(hangs, from_query())]), "/?token=x") == 503
    )


async def test_a_recheck_that_hangs_does_not_outlast_the_expiry() -> None:
    asked: list[str] = []

    async def verify(token: str) -> str:
        asked.append(token)
        if len(asked) > 1:
            await asyncio.sleep(1000)
        return token

    guard = Token(verify, from_query(), expires=lambda user: time.time() + 0.5, recheck=0.01)
    async with AsyncTestClient(websocket_app(greet, guards=[guard])).websocket_connect(
        "/?token=x"
    ) as ws:
        assert await ws.receive_text() == "hello x"
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
    assert caught.value.reason == "the token has expired"
    assert len(asked) == 2


async def test_expiry_without_recheck_asks_the_verifier_once() -> None:
    asked: list[str] = []

    def verify(token: str) -> str:
        asked.append(token)
        return token

    guard = Token(verify, expires=lambda user: time.time() + 0.1)
    headers = {"Authorization": "Bearer x"}
    async with AsyncTestClient(websocket_app(greet, guards=[guard])).websocket_connect(
        "/", headers=headers
    ) as ws:
        await ws.receive_text()
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
    assert asked == ["x"]


async def test_a_subprotocols_token_leaves_the_headers_too() -> None:
    seen: list[str] = []

    async def handler(ws: WebSocket) -> None:
        await ws.accept("bearer")
        seen.append(f"{ws.scope} {ws.headers}")
        await ws.send_text("x")

    app = websocket_app(handler, guards=[Token(USERS, from_subprotocol())])
    assert await status(app, subprotocols=["bearer", "sesame", "chat"]) == 101
    assert "sesame" not in seen[0]
    assert "bearer, chat" in seen[0]


@pytest.mark.parametrize(
    ("url", "origin", "allowed"),
    [
        ("wss://shop.example/", "https://shop.example", True),
        ("wss://shop.example/", "http://shop.example", False),
        ("ws://shop.example/", "https://shop.example", True),  # a proxy has ended TLS
        ("ws://shop.example/", "http://shop.example", True),
    ],
)
async def test_a_page_without_tls_is_not_of_a_host_with_it(
    url: str, origin: str, allowed: bool
) -> None:
    """Whoever is on the way writes http pages, and the browser would add the Secure cookies."""
    assert await status(websocket_app(greet), url, headers={"Origin": origin}) == (
        101 if allowed else 403
    )


async def test_a_first_message_is_bounded_before_it_is_verified(serve: Serve) -> None:
    asked: list[str] = []

    def verify(token: str) -> None:
        asked.append(token)

    guard: Token[str] = Token(verify, from_first_message())
    app = websocket_app(greet, guards=[guard], max_size=100)
    async with AsyncTestClient(app).websocket_connect("/") as ws:
        await ws.send_text("x" * 101)
        assert (await ws.receive())["code"] == 1009
    assert asked == []


async def test_a_guard_behind_the_first_message_refuses_by_closing() -> None:
    async def full(connection: Any) -> None:
        raise Refusal(403, "the room is full")

    app = websocket_app(greet, guards=[Token(USERS, from_first_message()), full])
    for around in (app, Starlette(routes=[WebSocketRoute("/", greet, guards=[
        Token(USERS, from_first_message()), full])])):  # fmt: skip
        async with AsyncTestClient(around).websocket_connect("/") as ws:
            await ws.send_text("sesame")
            answer = await ws.receive()
            assert (answer["code"], answer["reason"]) == (1008, "the room is full")
