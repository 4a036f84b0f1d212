"""Let in only those who bring a token: `Authorization: Bearer ...`, or ?token= for browsers.

longwire serve examples.reject:app

Before accept a client only ever sees an HTTP status: a close code sent then becomes a bare 403.
So the refusal is a denial response, which says 401 and why. A client that must see a close code,
as browsers show no status to scripts, asks for ?refuse=close: it is accepted, then closed.
"""

from __future__ import annotations

import hmac
import os
from urllib.parse import parse_qs

from longwire.asgi import Receive, Scope, Send

TOKEN = os.environ.get("EXAMPLE_TOKEN", "valid-token")
UNAUTHORIZED = 4001


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "websocket"
    await receive()
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if not is_valid(token_of(scope, query)):
        await refuse(scope, send, by_close_code=query.get("refuse") == ["close"])
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def token_of(scope: Scope, query: dict[str, list[str]]) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization" and value.startswith(b"Bearer "):
            return str(value[7:].decode("latin-1"))
    return query.get("token", [""])[0]


def is_valid(token: str) -> bool:
    # In constant time: how long the comparison takes tells nothing about the token.
    return hmac.compare_digest(token.encode(), TOKEN.encode())


async def refuse(scope: Scope, send: Send, by_close_code: bool) -> None:
    if by_close_code:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": UNAUTHORIZED, "reason": "bad token"})
    elif "websocket.http.response" in scope["extensions"]:
        headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"text/plain")]
        start = {"type": "websocket.http.response.start", "status": 401, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": b"A valid token is needed."})
    else:
        await send({"type": "websocket.close"})  # other servers: HTTP 403
