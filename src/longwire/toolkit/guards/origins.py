"""Which pages may open a socket here (RFC 6455 section 10.2, RFC 6454).

Browsers let any page connect to any host, with the user's cookies, and only say where it came
from: whoever does not look lets every site act in its visitors' names. Comparisons are exact: no
wildcard, no prefix, no regular expression.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from longwire.toolkit.guards.refusal import logger, refuse

ANY_ORIGIN = "*"
"""Lets every page in: right for public data that needs no cookie, and for nothing else."""

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

Place = tuple[str, str, int | None]  # scheme, host, port


class AllowedOrigins:
    """Lets in pages of the listed origins, as "https://example.com", and of this host itself.

    A client that sends no Origin is no browser and carries nobody's cookies: it is let in, unless
    `is_required`. Everybody else is refused with 403. "This host" is what the Host header says:
    a server that any name may lead to (DNS rebinding) checks that header, too, as starlette's
    TrustedHostMiddleware does.
    """

    def __init__(
        self,
        origins: Iterable[str] = (),
        *,
        same_origin: bool = True,
        is_required: bool = False,
        close_code: int | None = None,
    ) -> None:
        listed = [origins] if isinstance(origins, str) else list(origins)
        self._allows_any = ANY_ORIGIN in listed
        self._allowed = {_listed(origin) for origin in listed if origin != ANY_ORIGIN}
        self._same_origin = same_origin
        self._is_required = is_required
        self._close_code = close_code

    async def __call__(self, connection: HTTPConnection) -> None:
        """Return if the origin is allowed; refuse with 403 else."""
        sent = connection.headers.getlist("origin")
        is_tls = connection.scope.get("scheme") in ("wss", "https")
        if self._allows(sent, connection.headers.getlist("host"), is_tls):
            return
        logger.warning(
            "the origin %.200r may not open %r: list it in origins= if it should",
            ", ".join(sent),
            connection.scope.get("path", ""),
        )
        await refuse(connection, 403, "this origin may not connect", close_code=self._close_code)

    def _allows(self, sent: list[str], hosts: list[str], is_tls: bool) -> bool:
        if self._allows_any:
            return True
        if not sent:
            return not self._is_required
        place = _parse(sent[0]) if len(sent) == 1 else None
        if place is None:
            return False  # twice, "null" (a sandboxed or local page), or no origin at all
        if place in self._allowed:
            return True
        if not self._same_origin or len(hosts) != 1 or (is_tls and place[0] != "https"):
            return False  # a page without TLS is whoever's on the way, whatever its name
        # A proxy may have ended TLS: the page's own scheme says which port goes without saying.
        return _parse(f"{place[0]}://{hosts[0]}") == place


def _listed(origin: str) -> Place:
    place = _parse(origin)
    if place is None:
        raise ValueError(f'an origin is "scheme://host" or "scheme://host:port"; got {origin!r}')
    return place


def _parse(origin: str) -> Place | None:
    """Return the parts of an origin in their one spelling, or None if it is none."""
    if not origin.isascii() or any(character.isspace() for character in origin):
        return None
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    is_bare = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if not parts.scheme or not parts.hostname or not is_bare or origin.endswith(("?", "#", ":")):
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS.get(parts.scheme)
