from starlette.applications import Starlette

from longwire import WebSocket, WebSocketDisconnect, WebSocketRoute


async def websocket_endpoint(websocket: WebSocket):
    # Accept the connection
    await websocket.accept()

    try:
        while True:
            # Receive message from client
            message = await websocket.receive_text()

            # Echo message back
            await websocket.send_text(f"Echo: {message}")

    except WebSocketDisconnect:
        print("Client disconnected")

app = Starlette(routes=[
    WebSocketRoute("/ws", websocket_endpoint)
])
