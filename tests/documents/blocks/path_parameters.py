from longwire import WebSocket, WebSocketRoute


async def user_websocket(websocket: WebSocket):
    # Extract path parameters
    user_id = websocket.path_params["user_id"]
    room_id = websocket.path_params.get("room_id")

    await websocket.accept()

    try:
        # Send welcome message
        await websocket.send_json({
            "type": "welcome",
            "user_id": int(user_id),
            "room_id": room_id and int(room_id)
        })

        async for message in websocket.iter_json():
            # Process user messages in room context
            response = {
                "type": "message",
                "user_id": int(user_id),
                "room_id": room_id and int(room_id),
                "content": message.get("content")
            }
            await websocket.send_json(response)

    # Corrected: finally, where it said except WebSocketDisconnect: iter_json() ends quietly.
    finally:
        print(f"User {user_id} disconnected from room {room_id}")

routes = [
    WebSocketRoute("/ws/user/{user_id:int}", user_websocket),
    WebSocketRoute("/ws/room/{room_id:int}/user/{user_id:int}", user_websocket),
]
