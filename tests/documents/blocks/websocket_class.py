from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.datastructures import URL, Address, Headers, QueryParams, State
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from longwire import WebSocketState


class WebSocket:
    """
    WebSocket connection handler providing bidirectional communication.

    The WebSocket class manages:
    - Connection lifecycle (accept, close)
    - Message sending and receiving (text, binary, JSON)
    - Connection state management
    - Subprotocol negotiation
    - Error handling and disconnection
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Initialize WebSocket from ASGI scope.

        Args:
            scope: ASGI WebSocket scope
            receive: ASGI receive callable
            send: ASGI send callable
        """

    # Inherited from HTTPConnection
    @property
    def url(self) -> URL:
        """WebSocket connection URL."""

    @property
    def base_url(self) -> URL:
        """Base URL for generating absolute URLs."""

    @property
    def headers(self) -> Headers:
        """WebSocket handshake headers."""

    @property
    def query_params(self) -> QueryParams:
        """URL query parameters."""

    @property
    def path_params(self) -> dict[str, Any]:
        """Path parameters from URL pattern."""

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies from handshake request."""

    @property
    def client(self) -> Address | None:
        """Client address information."""

    @property
    def session(self) -> dict[str, Any]:
        """Session data (requires SessionMiddleware)."""

    @property
    def auth(self) -> Any:
        """Authentication data (requires AuthenticationMiddleware)."""

    @property
    def user(self) -> Any:
        """User object (requires AuthenticationMiddleware)."""

    @property
    def state(self) -> State:
        """WebSocket-scoped state storage."""

    # WebSocket-specific properties
    @property
    def client_state(self) -> WebSocketState:
        """Client connection state."""

    @property
    def application_state(self) -> WebSocketState:
        """Application connection state."""

    # Connection management
    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """
        Accept WebSocket connection.

        Args:
            subprotocol: Selected subprotocol from client's list
            headers: Additional response headers

        Raises:
            RuntimeError: If connection already accepted/closed
        """

    async def close(
        self,
        code: int = 1000,
        reason: str | None = None
    ) -> None:
        """
        Close WebSocket connection.

        Args:
            code: WebSocket close code (default: 1000 normal closure)
            reason: Optional close reason string
        """

    async def send_denial_response(self, response: Response) -> None:
        """
        Send HTTP response instead of accepting WebSocket.

        Used for authentication/authorization failures during handshake.

        Args:
            response: HTTP response to send
        """

    # Message receiving
    async def receive(self) -> dict[str, Any]:
        """
        Receive raw WebSocket message.

        Returns:
            dict: ASGI WebSocket message

        Raises:
            WebSocketDisconnect: When connection closes
        """

    async def receive_text(self) -> str:
        """
        Receive text message.

        Returns:
            str: Text message content

        Raises:
            WebSocketDisconnect: When connection closes
            RuntimeError: If message is not text
        """

    async def receive_bytes(self) -> bytes:
        """
        Receive binary message.

        Returns:
            bytes: Binary message content

        Raises:
            WebSocketDisconnect: When connection closes
            RuntimeError: If message is not binary
        """

    async def receive_json(self, mode: str = "text") -> Any:
        """
        Receive JSON message.

        Args:
            mode: "text" or "binary" message mode

        Returns:
            Any: Parsed JSON data

        Raises:
            WebSocketDisconnect: When connection closes
            ValueError: If message is not valid JSON
        """

    # Message iteration
    def iter_text(self) -> AsyncIterator[str]:
        """
        Async iterator for text messages.

        Yields:
            str: Text messages until connection closes
        """

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """
        Async iterator for binary messages.

        Yields:
            bytes: Binary messages until connection closes
        """

    def iter_json(self, mode: str = "text") -> AsyncIterator[Any]:
        """
        Async iterator for JSON messages.

        Args:
            mode: "text" or "binary" message mode

        Yields:
            Any: Parsed JSON data until connection closes
        """

    # Message sending
    async def send(self, message: dict[str, Any]) -> None:
        """
        Send raw ASGI WebSocket message.

        Args:
            message: ASGI WebSocket message dict
        """

    async def send_text(self, data: str) -> None:
        """
        Send text message.

        Args:
            data: Text content to send
        """

    async def send_bytes(self, data: bytes) -> None:
        """
        Send binary message.

        Args:
            data: Binary content to send
        """

    async def send_json(
        self,
        data: Any,
        mode: str = "text"
    ) -> None:
        """
        Send JSON message.

        Args:
            data: JSON-serializable data
            mode: "text" or "binary" message mode
        """

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """
        Generate absolute URL for named route.

        Args:
            name: Route name
            **path_params: Path parameter values

        Returns:
            URL: Absolute URL
        """
