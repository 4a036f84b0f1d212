"""The hub as what a fan-out is measured with: what anybody sends goes to all in the room."""

from __future__ import annotations

from longwire.asgi import Receive, Scope, Send
from longwire.hub import Hub, OutboxOptions, RoomOptions

hub = Hub(
    room=RoomOptions(history_size=0, presence=False),
    outbox=OutboxOptions(messages=4096),
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    await receive()
    await send({"type": "websocket.accept"})
    async with hub.connect(send, scope=scope) as member:
        await member.join("all")
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            await hub.publish("all", event["text"])
