"""Target: HttpProtocol, and the Session it hands over to, with a transport that is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from fuzz.input import split
from fuzz.transport import FakeTransport, turn
from fuzz.twins import NAMES, Twin, load, same

READ_BODY, DENY, NO_DEFLATE = 1, 2, 4

LOOP = asyncio.new_event_loop()
FAULTS: list[str] = []


class Collector(logging.Handler):
    """What the server reports with a traceback is a fault of it, or of the application below."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.CRITICAL:
            FAULTS.append(self.format(record))


def note_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    FAULTS.append(repr(context))


logging.getLogger("longwire").addHandler(Collector())
logging.getLogger("longwire").propagate = False
LOOP.set_exception_handler(note_unhandled)


def application(switches: int) -> Callable[..., Any]:
    """Return an echo on both protocols that does what the switches say."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(OSError):  # the client has gone
            await (websocket if scope["type"] == "websocket" else http)(scope, receive, send)

    async def http(scope: Any, receive: Any, send: Any) -> None:
        body = scope["path"].encode("utf-8", "replace") + b"?" + scope["query_string"]
        while switches & READ_BODY:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event["body"]
            if not event["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    async def websocket(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if switches & DENY:
            await send({"type": "websocket.close"})
            return
        await send(
            {"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)}
        )
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})

    return app


def new_state(twin: Twin, switches: int) -> Any:
    config = twin["server.config"].Config(
        app=application(switches), date_header=False, access_log=False, limit_header_count=20,
        limit_header_size=2048, ws_max_size=5000, ws_per_message_deflate=not switches & NO_DEFLATE,
    )  # fmt: skip
    return twin["server.state"].ServerState(config.app, config, LOOP)


async def serve(twin: Twin, switches: int, reads: list[bytes]) -> bytes:
    """Serve one connection to its end; return what was written."""
    state = new_state(twin, switches)
    protocol = twin["server.http"].HttpProtocol(state)
    transport = FakeTransport(LOOP, protocol)
    protocol.connection_made(transport)
    for read in reads:
        transport.read(read)
        await turn()
    transport.read(b"")
    await turn()
    transport.end()
    await turn()
    assert not state.connections, "the connection is forgotten once it is lost"
    assert not state.tasks, f"{len(state.tasks)} applications run on"
    assert not len(state.timers), "a timer is left"
    return bytes(transport.written)


@cache
def twins() -> tuple[Twin, Twin]:
    return load((*NAMES, "server.http", "server.state", "server.config"))


def one_input(data: bytes) -> None:
    switches, reads = split(data)
    reads = reads[:64]
    outputs = [LOOP.run_until_complete(serve(twin, switches, reads)) for twin in twins()]
    if FAULTS:
        faults = "\n".join(FAULTS)
        FAULTS.clear()
        raise AssertionError(faults)
    same("what is written", *outputs)
