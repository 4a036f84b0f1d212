async def binary_echo(scope, receive, send):
    event = await receive()
    assert event["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})

    while True:
        event = await receive()
        if event["type"] == "websocket.receive":
            if event.get("bytes") is not None:
                # Echo binary data back
                await send({
                    "type": "websocket.send",
                    "bytes": event["bytes"],
                })
            elif event.get("text") is not None:
                # Convert text to binary (example)
                await send({
                    "type": "websocket.send",
                    "bytes": event["text"].encode("utf-8"),
                })
        elif event["type"] == "websocket.disconnect":
            break
