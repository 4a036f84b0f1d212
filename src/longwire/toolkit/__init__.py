"""The layer that applications touch: WebSocket, routes, guards; on any ASGI server.

Built on starlette's requests, responses and routing; the WebSocket side is our own.
"""

from starlette.websockets import WebSocketClose, WebSocketState

from longwire.toolkit.closed import Closed
from longwire.toolkit.codecs import JSONCodec, MsgspecCodec, OrjsonCodec, StandardCodec
from longwire.toolkit.disconnect import (
    ClosedBy,
    Closure,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from longwire.toolkit.endpoint import WebSocketEndpoint
from longwire.toolkit.guards import (
    ANY_ORIGIN,
    AllowedOrigins,
    ConnectionRate,
    Guard,
    MaxSize,
    MessageRate,
    Refusal,
    Source,
    Token,
    from_cookie,
    from_first_message,
    from_header,
    from_query,
    from_subprotocol,
    one_of,
    refuse,
)
from longwire.toolkit.messages import InvalidJSON, InvalidMessage, UnexpectedMessage
from longwire.toolkit.notice import GoingAway
from longwire.toolkit.routing import WebSocketRoute, websocket_app
from longwire.toolkit.subprotocols import Subprotocols
from longwire.toolkit.websocket import WebSocket

__all__ = [
    "ANY_ORIGIN",
    "AllowedOrigins",
    "Closed",
    "ClosedBy",
    "Closure",
    "ConnectionRate",
    "GoingAway",
    "Guard",
    "InvalidJSON",
    "InvalidMessage",
    "JSONCodec",
    "MaxSize",
    "MessageRate",
    "MsgspecCodec",
    "OrjsonCodec",
    "Refusal",
    "Source",
    "StandardCodec",
    "Subprotocols",
    "Token",
    "UnexpectedMessage",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketEndpoint",
    "WebSocketRoute",
    "WebSocketState",
    "from_cookie",
    "from_first_message",
    "from_header",
    "from_query",
    "from_subprotocol",
    "one_of",
    "refuse",
    "websocket_app",
]
