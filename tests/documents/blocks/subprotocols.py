from longwire import WebSocket
from tests.documents.stand_ins import (
    get_active_users,
    handle_default_protocol,
    handle_notification_protocol,
)


async def subprotocol_websocket(websocket: WebSocket):
    # Get requested subprotocols from client
    subprotocols = websocket.headers.get("sec-websocket-protocol", "").split(",")
    subprotocols = [p.strip() for p in subprotocols if p.strip()]

    # Select supported subprotocol
    supported = ["chat", "notification", "api.v1"]
    selected = None

    for protocol in subprotocols:
        if protocol in supported:
            selected = protocol
            break

    # Accept with selected subprotocol
    await websocket.accept(subprotocol=selected)

    try:
        # Handle different protocols
        if selected == "chat":
            await handle_chat_protocol(websocket)
        elif selected == "notification":
            await handle_notification_protocol(websocket)
        elif selected == "api.v1":
            await handle_api_protocol(websocket)
        else:
            await handle_default_protocol(websocket)

    # Corrected: finally, where it said except WebSocketDisconnect: iter_*() end quietly.
    finally:
        print(f"Client disconnected (protocol: {selected})")

async def handle_chat_protocol(websocket: WebSocket):
    """Handle chat-specific protocol."""
    async for message in websocket.iter_text():
        # Chat protocol: plain text messages
        response = f"[CHAT] {message}"
        await websocket.send_text(response)

async def handle_api_protocol(websocket: WebSocket):
    """Handle API-specific protocol."""
    async for data in websocket.iter_json():
        # API protocol: structured JSON commands
        if data.get("command") == "list_users":
            await websocket.send_json({
                "type": "user_list",
                "users": get_active_users()
            })
        elif data.get("command") == "send_message":
            await websocket.send_json({
                "type": "message_sent",
                "id": data.get("message_id")
            })
