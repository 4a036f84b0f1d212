"""The application that the API page's section on testing tests: three of its own handlers."""

from __future__ import annotations

from starlette.applications import Starlette

from longwire import WebSocketRoute
from tests.documents.blocks import json_messages, path_parameters, simple_echo

app = Starlette(
    routes=[
        *simple_echo.app.routes,
        WebSocketRoute("/ws/json", json_messages.json_websocket),
        *path_parameters.routes,
    ]
)
