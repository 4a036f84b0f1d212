"""Guards: what stands before a handler, and decides who gets in and how much they may send.

A guard is an async callable of one argument, the connection. It returns a value (a token's guard:
whom the token stands for), or refuses by raising. They compose: `WebSocketRoute(..., guards=[a,
b])` asks them in order, and FastAPI takes each as a dependency, `Depends(guard)`.
"""

from longwire.toolkit.guards.limits import ConnectionRate, MaxSize, MessageRate
from longwire.toolkit.guards.origins import ANY_ORIGIN, AllowedOrigins
from longwire.toolkit.guards.refusal import Guard, Refusal, refuse
from longwire.toolkit.guards.sources import (
    Source,
    from_cookie,
    from_first_message,
    from_header,
    from_query,
    from_subprotocol,
)
from longwire.toolkit.guards.tokens import Token, one_of

__all__ = [
    "ANY_ORIGIN",
    "AllowedOrigins",
    "ConnectionRate",
    "Guard",
    "MaxSize",
    "MessageRate",
    "Refusal",
    "Source",
    "Token",
    "from_cookie",
    "from_first_message",
    "from_header",
    "from_query",
    "from_subprotocol",
    "one_of",
    "refuse",
]
