"""The page and its files, read once; nothing on it comes from anywhere else.

The editor's modules are plain ES modules, too; an import map says where they are. It has to be
inside of the page, and CodeMirror makes style elements: a nonce, another one each time, lets both.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"

MODULES = Path(".artifacts/npm/node_modules")
"""Where `make demo` has npm put what the editor is made of."""

KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{0}'; style-src 'self' 'nonce-{0}'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

PAGE = (STATIC / "index.html").read_text()
IMPORTS = (STATIC / "modules.json").read_text()


async def page(request: Request) -> Response:
    nonce = secrets.token_urlsafe(16)
    script = f'<script type="importmap" nonce="{nonce}">{IMPORTS}</script>'
    return Response(
        PAGE.replace("<!-- import map -->", script),
        media_type="text/html",
        headers={**HEADERS, "Content-Security-Policy": POLICY.format(nonce)},
    )


def file(path: Path) -> Route:
    """Return the route that answers with a file."""
    body, kind = path.read_bytes(), KINDS[path.suffix]

    async def respond(request: Request) -> Response:
        return Response(body, media_type=kind, headers=HEADERS)

    return Route(f"/{path.name}", respond, name=path.name)


pages: list[BaseRoute] = [
    Route("/", page),
    *(file(path) for path in sorted(STATIC.iterdir()) if path.suffix in KINDS),
]
if MODULES.is_dir():
    pages.append(Mount("/modules", StaticFiles(directory=MODULES)))
