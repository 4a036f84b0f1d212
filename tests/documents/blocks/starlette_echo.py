from longwire import WebSocket

async def websocket_endpoint(websocket: WebSocket):
    await websocket.accept()
    while True:
        text = await websocket.receive_text()  # or receive_bytes(), receive_json()
        await websocket.send_text(f"Echo: {text}")
