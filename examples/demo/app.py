"""The demo: a chat page, and the socket behind it, on one port.

longwire serve examples.demo.app:app
"""

from __future__ import annotations

from examples.demo.pages import serve_page
from examples.demo.socket import serve_socket
from examples.http_and_websocket import lifespan
from longwire.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await serve_socket(scope, receive, send)
    else:
        await serve_page(scope, send)
