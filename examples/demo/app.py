"""The demo: a chat page, and the socket behind it, on one port.

longwire serve examples.demo.app:app
"""

from __future__ import annotations

from starlette.applications import Starlette

from examples.demo.pages import pages
from examples.demo.socket import chat
from longwire import WebSocketRoute

app = Starlette(routes=[*pages, WebSocketRoute("/ws", chat, max_size=16 * 1024)])
