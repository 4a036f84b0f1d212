import asyncio
import random
from datetime import datetime

import psutil

from longwire import WebSocket, WebSocketDisconnect


async def live_updates_websocket(websocket: WebSocket):
    await websocket.accept()

    try:
        # Send periodic updates
        while True:
            # Get latest data
            data = {
                "type": "update",
                "timestamp": datetime.now().isoformat(),
                "data": get_latest_data(),
                "metrics": get_system_metrics()
            }

            await websocket.send_json(data)

            # Wait before next update
            await asyncio.sleep(5)

    except WebSocketDisconnect:
        print("Client disconnected from live updates")

def get_latest_data():
    # Fetch real-time data
    return {"value": random.randint(1, 100)}

def get_system_metrics():
    # Get system metrics
    return {
        "cpu": psutil.cpu_percent(),
        "memory": psutil.virtual_memory().percent
    }
