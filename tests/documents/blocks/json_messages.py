import time

from longwire import WebSocket, WebSocketDisconnect


async def json_websocket(websocket: WebSocket):
    await websocket.accept()

    try:
        while True:
            # Receive JSON data
            data = await websocket.receive_json()

            # Process message based on type
            if data.get("type") == "ping":
                await websocket.send_json({
                    "type": "pong",
                    "timestamp": time.time()
                })
            elif data.get("type") == "message":
                await websocket.send_json({
                    "type": "response",
                    "original": data.get("content"),
                    "processed": data.get("content", "").upper()
                })
            else:
                await websocket.send_json({
                    "type": "error",
                    "message": "Unknown message type"
                })

    except WebSocketDisconnect:
        print("Client disconnected")
    except ValueError as e:
        # Invalid JSON
        await websocket.send_json({
            "type": "error",
            "message": "Invalid JSON"
        })
        await websocket.close(code=1003)  # Unsupported data
