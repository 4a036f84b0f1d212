import asyncio
import json
from typing import Dict, Set
from urllib.parse import parse_qs

from tests.documents.mailboxes import post


# Connected clients: room_name → set of send callables
rooms: Dict[str, Set] = {}


async def handle_websocket(scope, receive, send):
    """Multi-room chat server."""
    # Get room from query string
    query = scope.get("query_string", b"").decode()
    # Corrected: parsed, where it was split at "&" and "=": names are percent-encoded.
    room = parse_qs(query, keep_blank_values=True).get("room", ["general"])[0]

    try:
        # Accept the WebSocket connection
        event = await receive()
        if event["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})

        # Corrected: joined here, where it was before accept: nothing can be delivered until then.
        # Join the room
        if room not in rooms:
            rooms[room] = set()
        rooms[room].add(send)

        # Announce arrival
        await broadcast(room, {
            "type": "system",
            "message": f"A user joined #{room}",
        }, exclude=send)

        # Message loop
        while True:
            event = await receive()

            if event["type"] == "websocket.receive":
                # Corrected: is None, where it was "not text": an empty message is a message.
                text = event.get("text")
                if text is None:
                    continue

                try:
                    data = json.loads(text)
                except json.JSONDecodeError:
                    data = {"text": text}

                # Broadcast to everyone in the room
                await broadcast(room, {
                    "type": "message",
                    "text": data.get("text", text),
                    "room": room,
                })

            elif event["type"] == "websocket.disconnect":
                break

    finally:
        # Remove from room on disconnect
        rooms.get(room, set()).discard(send)
        await broadcast(room, {
            "type": "system",
            "message": f"A user left #{room}",
        })


async def broadcast(room: str, data: dict, exclude=None) -> None:
    """Send a message to all clients in a room."""
    message = json.dumps(data)
    dead_clients = set()

    for client_send in list(rooms.get(room, set())):
        if client_send is exclude:
            continue
        try:
            # Corrected: posted; awaiting each in turn, one slow peer stops all.
            post(client_send, {
                "type": "websocket.send",
                "text": message,
            })
        except Exception:
            dead_clients.add(client_send)

    # Clean up dead clients
    rooms.get(room, set()).difference_update(dead_clients)
