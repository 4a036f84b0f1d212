"""The page and its two files, read once; nothing on it comes from anywhere else."""

from __future__ import annotations

from pathlib import Path

from longwire.asgi import Scope, Send

STATIC = Path(__file__).parent / "static"

FILES = {
    "/": ("index.html", b"text/html; charset=utf-8"),
    "/style.css": ("style.css", b"text/css; charset=utf-8"),
    "/chat.js": ("chat.js", b"text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", b"image/svg+xml"),
}
BODIES = {path: (STATIC / name).read_bytes() for path, (name, _) in FILES.items()}

SECURITY = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


async def serve_page(scope: Scope, send: Send) -> None:
    path = scope["path"]
    if scope["method"] not in ("GET", "HEAD"):
        await respond(send, 405, b"text/plain", b"Method Not Allowed", [(b"allow", b"GET, HEAD")])
    elif path in FILES:
        await respond(send, 200, FILES[path][1], BODIES[path], SECURITY)
    else:
        await respond(send, 404, b"text/plain", b"Not Found")


async def respond(
    send: Send,
    status: int,
    content_type: bytes,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """Answer; the server leaves the body out for HEAD."""
    own = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-cache"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": own + (headers or [])})
    await send({"type": "http.response.body", "body": body})
