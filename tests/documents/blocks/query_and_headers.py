from longwire import WebSocket
from tests.documents.stand_ins import authenticate_token, process_user_message


async def websocket_with_auth(websocket: WebSocket):
    # Check authentication in query params or headers
    token = websocket.query_params.get("token")
    auth_header = websocket.headers.get("authorization")

    # Validate authentication
    if not token and not auth_header:
        await websocket.close(code=1008, reason="Authentication required")
        return

    # Extract user info from token
    user = authenticate_token(token or auth_header.split(" ")[-1])
    if not user:
        await websocket.close(code=1008, reason="Invalid token")
        return

    # Store user in WebSocket state
    websocket.state.user = user

    await websocket.accept()

    try:
        await websocket.send_json({
            "type": "authenticated",
            "user": user.username
        })

        async for message in websocket.iter_json():
            # Process authenticated user messages
            await process_user_message(websocket.state.user, message)

    # Corrected: finally, where it said except WebSocketDisconnect: iter_json() ends quietly.
    finally:
        print(f"User {user.username} disconnected")
