import asyncio
import time
from typing import Set

from longwire import WebSocket, WebSocketDisconnect


class WebSocketServer:
    def __init__(self):
        self.connections: Set[WebSocket] = set()
        self.shutdown_event = asyncio.Event()

    async def websocket_endpoint(self, websocket: WebSocket):
        await websocket.accept()
        self.connections.add(websocket)

        try:
            # Send initial connection message
            await websocket.send_json({
                "type": "connected",
                "server_time": time.time()
            })

            # Handle messages with timeout
            while not self.shutdown_event.is_set():
                try:
                    # Use timeout to allow checking shutdown event
                    message = await asyncio.wait_for(
                        websocket.receive_json(),
                        timeout=1.0
                    )

                    # Process message
                    await self.process_message(websocket, message)

                except asyncio.TimeoutError:
                    # Timeout is normal, continue loop
                    continue
                except ValueError:
                    # Invalid JSON
                    await websocket.send_json({
                        "type": "error",
                        "message": "Invalid JSON format"
                    })
                except Exception as e:
                    # Unexpected error
                    await websocket.send_json({
                        "type": "error",
                        "message": "Server error occurred"
                    })
                    break

        except WebSocketDisconnect:
            pass
        finally:
            # Cleanup connection
            self.connections.discard(websocket)
            print(f"Connection closed. Active: {len(self.connections)}")

    async def process_message(self, websocket: WebSocket, message: dict):
        """Process incoming message with error handling."""
        try:
            msg_type = message.get("type")

            if msg_type == "ping":
                await websocket.send_json({"type": "pong"})
            elif msg_type == "echo":
                await websocket.send_json({
                    "type": "echo_response",
                    "data": message.get("data")
                })
            else:
                await websocket.send_json({
                    "type": "error",
                    "message": f"Unknown message type: {msg_type}"
                })

        except Exception as e:
            print(f"Error processing message: {e}")
            await websocket.send_json({
                "type": "error",
                "message": "Failed to process message"
            })

    async def broadcast_shutdown(self):
        """Notify all connections of shutdown."""
        if self.connections:
            message = {
                "type": "server_shutdown",
                "message": "Server is shutting down"
            }

            # Send to all connections
            await asyncio.gather(
                *[conn.send_json(message) for conn in self.connections],
                return_exceptions=True
            )

            # Close all connections
            await asyncio.gather(
                *[conn.close(code=1001, reason="Server shutdown") for conn in self.connections],
                return_exceptions=True
            )

    # Corrected: takes the connection, as the server's drain notice comes in its scope.
    def setup_shutdown_handlers(self, websocket: WebSocket):
        """Setup graceful shutdown handlers."""
        # Corrected: awaits the notice, as servers replace an application's signal handlers.
        async def notice_handler():
            await websocket.going_away
            print("The server goes away, starting graceful shutdown...")
            self.shutdown_event.set()

        return asyncio.create_task(notice_handler())

# Usage
server = WebSocketServer()

async def websocket_endpoint(websocket: WebSocket):
    # Corrected: here, for each connection; it was called once, beside server.
    notice = server.setup_shutdown_handlers(websocket)
    try:
        await server.websocket_endpoint(websocket)
    finally:
        notice.cancel()
