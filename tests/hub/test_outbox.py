"""One member's way out: in order, bounded, closed by its policy; once encoded for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from longwire.asgi import Receive, Scope, Send
from longwire.engine.prepared import Prepared
from longwire.errors import ConnectionClosed
from longwire.hub import Hub, OutboxOptions, Overflow
from longwire.hub import outbox as outbox_module
from tests.conftest import Serve
from tests.hub.conftest import Application, RunHost, received
from tests.hub.connections import FakeConnection, turns, until

pytestmark = pytest.mark.anyio


async def test_sends_are_in_the_order_of_the_calls(serve: Serve) -> None:
    """From the first on, whoever makes them: the hub, the member, or the application itself."""
    hub = Hub()
    app = Application(hub)
    async with hub, serve(app) as server:
        for first in ("publish", "send", "own"):
            async with websockets.connect(server.url("ws")) as client:
                await until(lambda: len(app.members) == len(app.sends) and app.members[-1:])
                member, own = app.members[-1], app.sends[-1]
                await member.join("lobby")
                expected = []
                for number, kind in enumerate([first, "own", "publish", "send", "own", "send"] * 9):
                    text = f"{number} {kind}"
                    expected.append(text)
                    if kind == "publish":
                        await hub.publish("lobby", text)
                    elif kind == "send":
                        assert await member.send(text) is True
                    else:
                        await own({"type": "websocket.send", "text": text})
                assert [await received(client) for _ in expected] == expected
            await until(lambda: not hub.counts().members)
            app.members.clear()
            app.sends.clear()


async def test_what_waits_is_sent_at_the_end_of_the_block(run: RunHost) -> None:
    async with Hub() as hub, run(hub) as host:

        async def send_and_go(receive: Receive) -> None:
            for number in range(50):
                await host.app.members[-1].send(str(number))

        host.app.go_on = send_and_go
        async with host.client() as (client, _):
            assert [await received(client) for _ in range(50)] == [str(n) for n in range(50)]


async def test_a_close_at_the_end_of_the_block_is_sent(run: RunHost) -> None:
    async with Hub() as hub, run(hub) as host:

        async def close_and_go(receive: Receive) -> None:
            await host.app.members[-1].close(4000, "bye")
            await host.app.members[-1].close(4001, "again")  # the first one is it
            assert await host.app.members[-1].send("late") is False

        host.app.go_on = close_and_go
        async with host.client() as (client, _):
            await asyncio.wait_for(client.wait_closed(), 5)
            assert (client.close_code, client.close_reason) == (4000, "bye")


POLICIES = [
    (Overflow.DROP_OLDEST, ["0", "b3", "a4", "b5"], 2),
    (Overflow.DROP_NEWEST, ["0", "b1", "a2", "b3"], 2),
    (Overflow.KEEP_LATEST, ["0", "a4", "b5"], 3),
    (Overflow.DISCONNECT, ["0"], 4),
]


@pytest.mark.parametrize(("policy", "sent", "dropped"), POLICIES)
async def test_policies(policy: Overflow, sent: list[str], dropped: int) -> None:
    connection = FakeConnection(is_open=False)
    hub = Hub(outbox=OutboxOptions(3, overflow=policy))
    async with hub, hub.connect(connection) as member:
        await member.join("lobby")
        await hub.publish("lobby", "0")
        await until(lambda: member.outbox.waiting == 0)  # on its way
        for number, key in enumerate("babab", start=1):
            await hub.publish("lobby", f"{key}{number}", key=key)
            assert member.outbox.waiting <= 3
        if policy is Overflow.DISCONNECT:
            assert member.outbox.waiting == 0  # given up, and not in memory any more
            sent = []  # and what was on its way is not sent behind the close, nor before
        connection.gate.set()
        is_closed = policy is Overflow.DISCONNECT
        await until(
            lambda: bool(connection.closed) is is_closed and len(connection.sent) >= len(sent)
        )
        assert connection.sent == sent
        assert hub.counters.dropped == {policy: member.dropped}
        assert hub.counters.delivered == len(sent)
        if policy is Overflow.DISCONNECT:
            assert member.dropped == 4
            assert connection.closed == (1013, "too slow")
            await until(lambda: hub.members("lobby") == [])
        else:
            assert member.dropped == dropped
            assert connection.closed is None


async def test_a_close_that_is_not_taken_is_still_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The member has left by then; whoever reads again is closed, and not left in silence."""
    monkeypatch.setattr(outbox_module, "CLOSE_TIMEOUT", 0.05)
    connection = FakeConnection(is_open=False)
    async with Hub() as hub, hub.connect(connection, user="ann") as member:
        await member.join("lobby")
        await member.send("x")
        await member.close(4000, "bye")
        await until(lambda: hub.members("lobby") == [] and not hub.counts().users)
        assert connection.closed is None
        connection.gate.set()
        await until(lambda: connection.closed)
        assert connection.closed == (4000, "bye")


async def test_a_close_nobody_takes_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "CLOSE_TIMEOUT", 0.01)
    monkeypatch.setattr("longwire.hub.member.FLUSH_SECONDS", 0.05)
    before = len(asyncio.all_tasks())
    connection = FakeConnection(is_open=False)
    async with Hub() as hub, hub.connect(connection) as member:
        await member.join("lobby")
        await member.close()
    await turns()
    assert len(asyncio.all_tasks()) == before
    assert connection.closed is None


@pytest.mark.parametrize(
    ("error", "is_told"),
    [(ConnectionClosed(1006), False), (OSError(), False), (TypeError("wrong"), True),
     (KeyError("text"), True)],
)  # fmt: skip
async def test_an_error_of_send(
    error: Exception, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The member has left; a fault, not an end, has a traceback in the log."""
    connection = FakeConnection()
    async with Hub() as hub, hub.connect(connection) as member:
        await member.join("lobby")
        connection.error = error
        with caplog.at_level(logging.ERROR, "longwire.hub"):
            await hub.publish("lobby", "x")
            await until(lambda: hub.members("lobby") == [])
        assert bool([record for record in caplog.records if record.exc_info]) is is_told
        with pytest.raises(ConnectionClosed):
            await member.join("lobby")
        assert await member.send("x") is False


async def test_the_publishers_context_is_not_the_writers() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")
    seen = []

    async def send(message: Any) -> None:
        seen.append(variable.get())

    async with Hub() as hub, hub.connect(send) as member:
        await member.join("lobby")
        variable.set("a request's")
        await hub.publish("lobby", "x")
        await until(lambda: seen)
    assert seen == ["nothing"]


# ---- once for all -------------------------------------------------------------------------------


class Counting:
    """The server's `prepare`, counted."""

    def __init__(self) -> None:
        self.messages: list[Prepared] = []

    def __call__(self, data: str | bytes) -> Prepared:
        self.messages.append(Prepared(data))
        return self.messages[-1]


@contextlib.asynccontextmanager
async def many(
    serve: Serve, app: Any, compressions: list[Any], **options: Any
) -> AsyncIterator[list[Any]]:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(app, **options))
        clients = []
        for compression in compressions:
            if isinstance(compression, ClientPerMessageDeflateFactory):
                opening = websockets.connect(
                    server.url("ws"), compression=None, extensions=[compression]
                )
            else:
                opening = websockets.connect(server.url("ws"), compression=compression)
            clients.append(await stack.enter_async_context(opening))
        yield clients


async def test_a_message_is_prepared_once(serve: Serve) -> None:
    """And once compressed for all that agreed on the same parameters."""
    hub = Hub()
    app, prepare = Application(hub), Counting()

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope["extensions"], "longwire.fanout": {"prepare": prepare}}
        await app({**scope, "extensions": extensions}, receive, send)

    smaller = ClientPerMessageDeflateFactory(server_max_window_bits=10)
    forgetful = ClientPerMessageDeflateFactory(server_no_context_takeover=True)
    compressions = [None, None, "deflate", "deflate", smaller, smaller, forgetful]
    formatted = 0

    def format(event: Any) -> Any:
        nonlocal formatted
        formatted += 1
        return getattr(event, "data", None)

    app.format = format
    async with hub, many(serve, counted, compressions) as clients:
        await until(lambda: len(app.members) == len(compressions))
        for member in app.members:
            await member.join("lobby")
        await hub.publish("lobby", "the first attaches")
        for client in clients:
            assert await received(client) == "the first attaches"
        before, formatted = len(prepare.messages), 0
        for message in ("x" * 2000, b"y" * 2000):
            await hub.publish("lobby", message)
            for client in clients:
                assert await received(client) == message
        assert (len(prepare.messages) - before, formatted) == (2, 2)
        for client in clients:  # what is sent to one alone still inflates
            await app.members[clients.index(client)].send("z" * 2000)
            assert await received(client) == "z" * 2000


def wrapping(app: Any) -> Any:
    """A middleware as most are: it looks on, and passes what it was given."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def look_on(message: Any) -> None:
            await asyncio.sleep(0)
            await send(message)

        await app(scope, receive, look_on)

    return wrapped


def strict(app: Any) -> Any:
    """A middleware that lets nothing pass but what the specification has."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def strip(message: Any) -> None:
            known = ("type", "text", "bytes", "code", "reason")
            await send({name: message[name] for name in known if name in message})

        await app(scope, receive, strip)

    return wrapped


def without_extensions(app: Any) -> Any:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": None}, receive, send)

    return wrapped


@pytest.mark.parametrize("middleware", [wrapping, strict, without_extensions])
async def test_middleware(serve: Serve, middleware: Any) -> None:
    hub = Hub()
    app = Application(hub)
    async with hub, many(serve, middleware(app), [None, "deflate"]) as clients:
        await until(lambda: len(app.members) == 2)
        for member in app.members:
            await member.join("lobby")
        for number in range(100):
            await hub.publish("lobby", str(number))
            if number % 10 == 0:
                await turns()
        for client in clients:
            assert [await received(client) for _ in range(100)] == [str(n) for n in range(100)]
        await app.members[0].close(4000)
        await asyncio.wait_for(clients[0].wait_closed(), 5)
        assert clients[0].close_code == 4000
        await until(lambda: len(hub.members("lobby")) == 1)
