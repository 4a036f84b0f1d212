"""Pages and sockets on one port: /, /ws/echo, /ws/chat; anything else is a 404 on either.

longwire serve examples.http_and_websocket:app
"""

from __future__ import annotations

from examples import chat, echo
from longwire.asgi import Receive, Scope, Send

SOCKETS = {"/ws/echo": echo.app, "/ws/chat": chat.app}

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Echo</title>
<form><label>Message <input autocomplete="off" autofocus></label> <button>Send</button></form>
<ul aria-live="polite"></ul>
<script>
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(scheme + "//" + location.host + "/ws/echo");
  const input = document.querySelector("input");
  socket.onmessage = (event) => {
    const line = document.createElement("li");
    line.textContent = event.data;
    document.querySelector("ul").append(line);
  };
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    socket.send(input.value);
    input.value = "";
  };
</script>
"""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await SOCKETS.get(scope["path"], no_such_socket)(scope, receive, send)
    elif scope["path"] == "/":
        await respond(send, 200, b"text/html; charset=utf-8", PAGE)
    else:
        await respond(send, 404, b"text/plain", b"Not Found")


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def no_such_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    start = {"type": "websocket.http.response.start", "status": 404}
    await send({**start, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "websocket.http.response.body", "body": b"No such socket"})


async def respond(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
