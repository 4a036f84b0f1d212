"""ASGI applications that tests serve: an echo, and one that records what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from longwire.asgi import Receive, Scope, Send

Act = Callable[[Scope, Receive, Send], Awaitable[None]]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and send back every message."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


class Recorder:
    """Runs an application, and keeps what it heard, what it raised, and that it ended.

    Without an application of its own it accepts and then only listens.
    """

    def __init__(self, act: Act | None = None) -> None:
        self._act = act or self._listen
        self.heard: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self.scope: Scope = {}
        self.accepted = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope

        async def recorded_receive() -> Any:
            event = await receive()
            self.heard.append(dict(event))
            return event

        async def recorded_send(message: Any) -> None:
            await send(message)
            if message["type"] == "websocket.accept":
                self.accepted.set()

        try:
            await self._act(scope, recorded_receive, recorded_send)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()

    @staticmethod
    async def _listen(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def disconnect(self, within: float = 5) -> tuple[int, str]:
        """Wait for the application's end; return code and reason of the disconnect it heard."""
        await asyncio.wait_for(self.ended.wait(), within)
        event = self.heard[-1]
        assert event["type"] == "websocket.disconnect", self.heard
        return event["code"], event["reason"]

    @property
    def messages(self) -> list[str | bytes]:
        return [
            event["text"] if event.get("text") is not None else event["bytes"]
            for event in self.heard
            if event["type"] == "websocket.receive"
        ]


class Deaf(Recorder):
    """Accepts, and does not receive until told to."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.go_on = asyncio.Event()

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await self.go_on.wait()
        while (await receive())["type"] != "websocket.disconnect":
            pass
