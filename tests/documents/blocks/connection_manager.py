import json
import time
from typing import Dict, Set

from longwire import WebSocket
from tests.documents.mailboxes import post


class ConnectionManager:
    """Manage multiple WebSocket connections."""

    def __init__(self):
        self.active_connections: Dict[str, Set[WebSocket]] = {}
        self.user_connections: Dict[str, WebSocket] = {}

    async def connect(self, websocket: WebSocket, room_id: str, user_id: str):
        """Add connection to room and user mapping."""
        await websocket.accept()

        # Add to room
        if room_id not in self.active_connections:
            self.active_connections[room_id] = set()
        self.active_connections[room_id].add(websocket)

        # Add to user mapping
        self.user_connections[user_id] = websocket

        # Notify room of new connection
        await self.broadcast_to_room(room_id, {
            "type": "user_joined",
            "user_id": user_id,
            "count": len(self.active_connections[room_id])
        }, exclude=websocket)

    def disconnect(self, websocket: WebSocket, room_id: str, user_id: str):
        """Remove connection from room and user mapping."""
        if room_id in self.active_connections:
            self.active_connections[room_id].discard(websocket)
            if not self.active_connections[room_id]:
                del self.active_connections[room_id]

        if user_id in self.user_connections:
            del self.user_connections[user_id]

    async def send_personal_message(self, user_id: str, message: dict):
        """Send message to specific user."""
        if user_id in self.user_connections:
            websocket = self.user_connections[user_id]
            await websocket.send_json(message)

    async def broadcast_to_room(self, room_id: str, message: dict, exclude: WebSocket = None):
        """Broadcast message to all connections in room."""
        if room_id in self.active_connections:
            # Corrected: a copy is walked, as the set changes below.
            for connection in list(self.active_connections[room_id]):
                if connection != exclude:
                    try:
                        # Corrected: posted; awaiting each in turn, one slow peer stops all.
                        post(connection, message)
                    except:
                        # Connection is broken, remove it
                        self.active_connections[room_id].discard(connection)

# Global connection manager
manager = ConnectionManager()

async def chat_websocket(websocket: WebSocket):
    room_id = websocket.path_params["room_id"]
    user_id = websocket.query_params.get("user_id", "anonymous")

    await manager.connect(websocket, room_id, user_id)

    try:
        async for data in websocket.iter_json():
            message = {
                "type": "message",
                "user_id": user_id,
                "room_id": room_id,
                "content": data.get("content"),
                "timestamp": time.time()
            }

            # Broadcast to room
            await manager.broadcast_to_room(room_id, message)

    # Corrected: finally, where it said except WebSocketDisconnect: iter_json() ends quietly.
    finally:
        manager.disconnect(websocket, room_id, user_id)

        # Notify room of disconnection
        await manager.broadcast_to_room(room_id, {
            "type": "user_left",
            "user_id": user_id,
            "count": len(manager.active_connections.get(room_id, set()))
        })
