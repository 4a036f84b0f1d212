"""An application whose connections are members, on our server and on uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from longwire.asgi import Receive, Scope, Send
from longwire.hub import Hub, Member, OutboxOptions
from longwire.hub.message import Format, as_published
from tests.conftest import Serve
from tests.hub.connections import PATIENCE, until

SERVERS = ("longwire", "uvicorn")


class Application:
    """Accepts, is a member until the client goes, and leaves the rest to the test."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.format: Format = as_published
        self.outbox: OutboxOptions | None = None
        self.members: list[Member] = []
        self.sends: list[Send] = []
        self.handlers: list[asyncio.Task[Any] | None] = []
        self.ended = 0
        self.go_on: Callable[[Receive], Awaitable[None]] = self.listen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        user = parse_qs(scope["query_string"].decode()).get("user", [None])[0]
        opening = self.hub.connect(
            send, scope=scope, user=user, format=self.format, outbox=self.outbox
        )
        self.handlers.append(asyncio.current_task())
        self.sends.append(send)
        try:
            async with opening as member:
                self.members.append(member)
                await self.go_on(receive)
        finally:
            self.ended += 1

    @staticmethod
    async def listen(receive: Receive) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass


class Host:
    """A server that runs the application, in this event loop."""

    def __init__(self, name: str, app: Application, host: str, port: int) -> None:
        self.name = name
        self.app = app
        self.host, self.port = host, port

    @contextlib.asynccontextmanager
    async def client(
        self, user: str | None = None, **options: Any
    ) -> AsyncIterator[tuple[ClientConnection, Member]]:
        """Connect; give the client's side, and the member."""
        before = len(self.app.members)
        query = f"?user={user}" if user else ""
        async with connect(f"ws://{self.host}:{self.port}/{query}", **options) as client:
            await until(lambda: len(self.app.members) > before)
            yield client, self.app.members[before]


RunHost = Callable[..., contextlib.AbstractAsyncContextManager[Host]]


@contextlib.asynccontextmanager
async def on_uvicorn(app: Any) -> AsyncIterator[tuple[str, int]]:
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_level="critical", ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.get_running_loop().create_task(server._serve())
    await until(lambda: server.started or running.done())
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        await asyncio.wait_for(running, PATIENCE)


@pytest.fixture(params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(server_name: str, serve: Serve) -> RunHost:
    """Serve the application: `async with run(hub) as host:`."""

    @contextlib.asynccontextmanager
    async def run(hub: Hub, **options: Any) -> AsyncIterator[Host]:
        app = options.pop("app", None) or Application(hub)
        if server_name == "longwire":
            async with serve(app, **options) as server:
                yield Host(server_name, app, server.host, server.port)
        else:
            async with on_uvicorn(app) as (host, port):
                yield Host(server_name, app, host, port)

    return run


async def received(client: ClientConnection) -> Any:
    return await asyncio.wait_for(client.recv(), PATIENCE)
