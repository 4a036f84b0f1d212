from longwire import WebSocketState
from longwire.toolkit.testing import TestClient
from tests.documents.applications import app


def test_websocket():
    with TestClient(app) as client:
        with client.websocket_connect("/ws") as websocket:
            # Send message
            websocket.send_text("Hello")

            # Receive response
            data = websocket.receive_text()
            assert data == "Echo: Hello"

def test_websocket_json():
    with TestClient(app) as client:
        with client.websocket_connect("/ws/json") as websocket:
            # Send JSON message
            websocket.send_json({"type": "ping"})

            # Receive JSON response
            data = websocket.receive_json()
            assert data["type"] == "pong"

def test_websocket_with_params():
    with TestClient(app) as client:
        with client.websocket_connect("/ws/user/123?token=abc") as websocket:
            # Test authenticated connection
            welcome = websocket.receive_json()
            assert welcome["user_id"] == 123

def test_websocket_disconnect():
    with TestClient(app) as client:
        with client.websocket_connect("/ws") as websocket:
            websocket.send_text("Hello")
            websocket.close()

            # Verify connection closed gracefully
            assert websocket.client_state == WebSocketState.DISCONNECTED
