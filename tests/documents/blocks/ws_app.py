from tests.documents.stand_ins import handle_http, handle_lifespan


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await handle_lifespan(receive, send)
    elif scope["type"] == "http":
        await handle_http(scope, receive, send)
    elif scope["type"] == "websocket":
        await handle_websocket(scope, receive, send)


async def handle_websocket(scope, receive, send):
    """Echo server: sends back whatever the client sends."""

    # Wait for the connection event
    event = await receive()
    assert event["type"] == "websocket.connect"

    # Accept the connection
    await send({"type": "websocket.accept"})

    # Echo loop
    while True:
        event = await receive()

        if event["type"] == "websocket.receive":
            # Echo the message back
            # Corrected: is not None, as an empty message is a message.
            if event.get("text") is not None:
                await send({
                    "type": "websocket.send",
                    "text": f"Echo: {event['text']}",
                })
            # Corrected: likewise.
            elif event.get("bytes") is not None:
                await send({
                    "type": "websocket.send",
                    "bytes": event["bytes"],
                })

        elif event["type"] == "websocket.disconnect":
            # Client disconnected — exit the handler
            break
