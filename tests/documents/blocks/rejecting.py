from urllib.parse import parse_qs


async def handle_websocket(scope, receive, send):
    # Wait for connect event
    event = await receive()
    assert event["type"] == "websocket.connect"

    # Check authentication
    token = get_token_from_scope(scope)
    if not await is_valid_token(token):
        # Corrected: accepted first, as a close before accept reaches the client as HTTP 403 alone.
        await send({"type": "websocket.accept"})
        # Reject the connection with a close code
        await send({
            "type": "websocket.close",
            "code": 4001,  # Application-defined code (4000-4999 are custom)
        })
        return

    # Accept and proceed
    await send({"type": "websocket.accept"})
    # ...


def get_token_from_scope(scope) -> str:
    """Extract Bearer token from WebSocket upgrade headers."""
    for name, value in scope.get("headers", []):
        if name == b"authorization":
            auth = value.decode("latin-1")
            if auth.startswith("Bearer "):
                return auth[7:]
    # Also check query string
    query = scope.get("query_string", b"").decode()
    # Corrected: parsed, where it was split at "&" and "=": tokens are percent-encoded.
    return parse_qs(query).get("token", [""])[0]


async def is_valid_token(token: str) -> bool:
    # Check against database, JWT validation, etc.
    return token == "valid-token"  # Simplified
