from enum import Enum


class WebSocketState(Enum):
    """WebSocket connection states."""
    CONNECTING = 0    # Initial state before accept/deny
    CONNECTED = 1     # Connection accepted and active
    DISCONNECTED = 2  # Connection closed
    RESPONSE = 3      # HTTP response sent instead of WebSocket


class WebSocketDisconnect(Exception):
    """
    Exception raised when WebSocket connection closes.

    Contains close code and optional reason.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        """
        Initialize disconnect exception.

        Args:
            code: WebSocket close code
            reason: Optional close reason
        """
        self.code = code
        self.reason = reason


class WebSocketClose:
    """
    ASGI application for closing WebSocket connections.

    Can be used as a route endpoint to immediately close connections.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        """
        Initialize WebSocket close handler.

        Args:
            code: Close code to send
            reason: Close reason to send
        """
