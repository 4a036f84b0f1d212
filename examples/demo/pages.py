"""The page and its files, read once; nothing on it comes from anywhere else."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"

KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)
"""The one script that has to be inside of the page: browsers take an import map from nowhere else.
The policy names it by its hash."""


def policy(page: bytes) -> str:
    """Return the Content-Security-Policy of the page: this host's own files, and nothing else."""
    scripts = ["'self'"]
    for script in IMPORT_MAP.findall(page):
        scripts.append(f"'sha256-{b64encode(hashlib.sha256(script).digest()).decode()}'")
    return (
        f"default-src 'none'; script-src {' '.join(scripts)}; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": policy((STATIC / "index.html").read_bytes()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(file: Path) -> Route:
    """Return the route that answers with a file."""
    body = file.read_bytes()
    path = "/" if file.name == "index.html" else f"/{file.name}"

    async def respond(request: Request) -> Response:
        return Response(body, media_type=KINDS[file.suffix], headers=HEADERS)

    return Route(path, respond, name=file.name)


pages = [page(file) for file in sorted(STATIC.iterdir()) if file.suffix in KINDS]
