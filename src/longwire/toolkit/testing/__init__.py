"""Test clients that cannot hang: in process, or against a live port, with the same API.

    with TestClient(app) as client, client.websocket_connect("/ws") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "Echo: hello"

Every receive has a timeout, and says what the application was doing when it passed.
"""

try:
    import httpx2  # noqa: F401
except ImportError:
    raise ImportError(
        "the test clients need the package httpx2: pip install 'longwire[testing]'"
    ) from None

from longwire.toolkit.testing.client import AsyncTestClient, TestClient
from longwire.toolkit.testing.conversation import Conversation, Denied, ReceiveTimeout
from longwire.toolkit.testing.session import AsyncWebSocketSession, WebSocketSession

__all__ = [
    "AsyncTestClient",
    "AsyncWebSocketSession",
    "Conversation",
    "Denied",
    "ReceiveTimeout",
    "TestClient",
    "WebSocketSession",
]
