"""Django Channels: websocket_app() in its routers, the guard in front of them.

longwire serve examples.frameworks.channels_app:app
"""

from __future__ import annotations

from pathlib import Path

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from longwire import WebSocket, WebSocketDisconnect, websocket_app
from longwire.toolkit import Token, from_header, from_query, one_of

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])
django.setup()

token = Token(one_of(ada="token-of-ada", bob="token-of-bob"), from_header(), from_query())


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Path(__file__).with_name("page.html").read_bytes())


urlpatterns = [path("", page)]


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    user = websocket.user
    room = websocket.scope["url_route"]["kwargs"]["room"]
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(f"{user} in {room}: {text}")
    except WebSocketDisconnect as error:
        print(f"{user} left {room} with {error.code} {error.reason!r}")


sockets = URLRouter([path("ws/<str:room>", websocket_app(talk))])

app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        # In front: URLRouter copies the scope, and the server logs its own, token and all.
        "websocket": websocket_app(sockets, guards=[token]),
    }
)
