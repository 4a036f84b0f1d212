# multi_client_test.py
import asyncio
import json

from tests.documents.stand_ins import websockets


async def client(name: str, room: str = "general"):
    async with websockets.connect(f"ws://localhost:8000/ws?room={room}") as ws:
        print(f"{name} connected")

        # Send a message
        await ws.send(json.dumps({"text": f"Hello from {name}"}))

        # Receive messages for 2 seconds
        async def receive_loop():
            while True:
                msg = await ws.recv()
                data = json.loads(msg)
                print(f"{name} received: {data}")

        try:
            await asyncio.wait_for(receive_loop(), timeout=2.0)
        except asyncio.TimeoutError:
            pass


async def main():
    # Connect three clients concurrently
    await asyncio.gather(
        client("Alice"),
        client("Bob"),
        client("Carol"),
    )


asyncio.run(main())
