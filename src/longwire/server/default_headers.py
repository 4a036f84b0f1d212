"""The headers of every response: what the configuration names, the server's name, and the date."""

from __future__ import annotations

import time
from email.utils import formatdate

from longwire.asgi import Header
from longwire.server.config import Config

SERVER = (b"server", b"longwire")


class DefaultHeaders:
    """Made once a second, and not for each response."""

    __slots__ = ("_dated_second", "_has_date", "_headers", "_lines", "_static")

    def __init__(self, config: Config) -> None:
        self._static: list[Header] = [*config.headers]
        if config.server_header and not any(name == b"server" for name, _ in config.headers):
            self._static.insert(0, SERVER)
        self._has_date = config.date_header
        self._dated_second = -1
        self._headers = self._static
        self._lines = _lines(self._static)

    def pairs(self) -> list[Header]:
        """Return them as names and values."""
        if self._has_date:
            self._set_date()
        return self._headers

    def lines(self) -> bytes:
        """Return them as they are written, each with its line's end."""
        if self._has_date:
            self._set_date()
        return self._lines

    def _set_date(self) -> None:
        second = int(time.time())
        if second != self._dated_second:
            date = formatdate(second, usegmt=True).encode("ascii")
            self._headers = [*self._static, (b"date", date)]
            self._lines = _lines(self._headers)
            self._dated_second = second


def _lines(headers: list[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
