"""The concepts page: its diagram walked on our server, arrow by arrow, and its list of events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from longwire.asgi import Message, Receive, Scope, Send
from tests import wire
from tests.conftest import Serve
from tests.documents.execution import text_of
from tests.documents.sequence import arrows, notes
from tests.wire import CLOSE, TEXT

pytestmark = pytest.mark.anyio

DIAGRAM = "upgrade_process.mmd"
ROUNDS = 2


class Walk:
    """One connection that writes down every arrow as it happens, in the diagram's words."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.arrows: list[str] = []
        self.scope: Scope = {}
        self.exchanged = asyncio.Event()  # the client has read every answer
        self.ended = asyncio.Event()

    # ---- the application --------------------------------------------------------------------

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope

        async def told() -> Message:
            event = await receive()
            self.arrows.append(f"Server->>ASGI App: {event['type']} event")
            return event

        async def tell(message: dict[str, Any], shown: dict[str, Any] | None = None) -> None:
            self.arrows.append(f"ASGI App->>Server: {json.dumps(shown or message)}")
            await send(message)

        assert (await told())["type"] == "websocket.connect"
        if self.outcome == "Connection Rejected":
            await tell({"type": "websocket.http.response.start", "status": 403})
            # The diagram leaves out the body, with which the response is complete.
            await send({"type": "websocket.http.response.body"})
        else:
            await tell({"type": "websocket.accept"})
            rounds = 0
            while (event := await told())["type"] == "websocket.receive":
                answer = {"type": "websocket.send", "text": f"Echo: {event['text']}"}
                await tell(answer, {**answer, "text": "..."})
                rounds += 1
                if rounds == ROUNDS and self.outcome == "Server Closes":
                    await self.exchanged.wait()
                    await tell({"type": "websocket.close"})
                    break
        self.ended.set()

    # ---- the client -------------------------------------------------------------------------

    async def client(self, server: Any) -> tuple[bytes, wire.Response]:
        """Be the client; return the request and the response."""
        asked = wire.request("/ws")
        async with wire.connect(server) as connection:
            self.arrows.append("Client->>Server: HTTP GET Request")
            await connection.send(asked)
            response = await connection.response()
            if response.status == 101:
                self.arrows.append("Server->>Client: HTTP 101 Switching Protocols")
                await self.exchange(connection)
            else:
                self.arrows.append(f"Server->>Client: HTTP {response.status} Forbidden")
            await asyncio.wait_for(self.ended.wait(), 5)
        return asked, response

    async def exchange(self, connection: wire.Wire) -> None:
        for _ in range(ROUNDS):
            self.arrows.append("Client->>Server: WebSocket Frame")
            await connection.send(wire.text("hello"))
            frame = await connection.frame()
            assert (frame.opcode, frame.payload) == (TEXT, b"Echo: hello")
            self.arrows.append("Server->>Client: WebSocket Frame")
        self.exchanged.set()
        if self.outcome == "Client Closes":
            self.arrows.append("Client->>Server: Close Frame")
            await connection.send(wire.close(1000))
        else:
            assert (await connection.frame()).opcode == CLOSE
            self.arrows.append("Server->>Client: Close Frame")


@pytest.mark.parametrize("outcome", ["Client Closes", "Server Closes", "Connection Rejected"])
@pytest.mark.parametrize("engine", ["auto", "native"])
async def test_the_diagram(serve: Serve, engine: str, outcome: str) -> None:
    walk = Walk(outcome)
    async with serve(walk.application, ws=engine) as server:
        asked, response = await walk.client(server)
    choices = [outcome] if outcome == "Connection Rejected" else ["Connection Accepted", outcome]
    diagram = text_of(DIAGRAM)
    assert walk.arrows == arrows(diagram, choices, ROUNDS)
    assert walk.scope["type"] == "websocket"
    assert_has(notes(diagram)[1], asked.decode().splitlines())
    if response.status == 101:
        lines = [f"{name}: {value}" for name, value in response.headers.items()]
        assert_has(notes(diagram)[3], lines)


def assert_has(note: list[str], lines: list[str]) -> None:
    """The headers of a note are among the lines; "[key]" and "[hash]" stand for some value."""
    assert note[0] == "Headers:"
    for header in note[1:]:
        name, _, value = header.partition(": ")
        found = [line for line in lines if line.lower().startswith(f"{name.lower()}: ")]
        assert len(found) == 1
        assert value.startswith("[") or found[0].lower() == header.lower()


async def test_the_listed_events(serve: Serve) -> None:
    """Each event of the page's two lists, with what it may carry."""
    heard: list[Message] = []
    ended = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        await send({"type": "websocket.accept", "subprotocol": "chat"})
        heard.append(await receive())
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close", "code": 3001})
        heard.append(await receive())
        ended.set()

    offered: dict[str, str | None] = {"Sec-WebSocket-Protocol": "other, chat"}
    async with serve(application) as server, wire.connect(server) as client:
        await client.send(wire.request(headers=offered))
        assert (await client.response()).headers["sec-websocket-protocol"] == "chat"
        await client.send(wire.text("hi"))
        assert await client.message() == "hello"
        assert await client.close_frame() == wire.Ended(3001)
        await client.send(wire.close(3001))
        await asyncio.wait_for(ended.wait(), 5)
    assert [event["type"] for event in heard] == [
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
    ]
