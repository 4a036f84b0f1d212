"""The header fields of the opening handshake: tokens, lists and extensions (RFC 9110, 6455 9.1).

Every parser here walks its input once, from left to right; none is a regular expression.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKEN_CHARACTERS = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
"""RFC 9110 section 5.6.2."""

MAX_EXTENSIONS = 32
"""Offers looked at: a browser sends one, and each costs a parse."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One element of Sec-WebSocket-Extensions, names in lower case."""

    name: str
    parameters: tuple[tuple[str, str | None], ...]


def is_token(text: str) -> bool:
    """Return whether the text is a token: not empty, visible ASCII without separators."""
    return bool(text) and TOKEN_CHARACTERS.issuperset(text)


def is_field_value(value: bytes) -> bool:
    """Return whether the bytes may stand in a header line: no CR, LF, NUL (RFC 9110 5.5)."""
    return b"\r" not in value and b"\n" not in value and b"\x00" not in value


def split_list(value: str) -> list[str]:
    """Return the elements of a comma-separated list; empty ones do not count (RFC 9110 5.6.1)."""
    return [stripped for element in value.split(",") if (stripped := element.strip(" \t"))]


def parse_extensions(value: str) -> list[Extension]:
    """Return the extensions in a Sec-WebSocket-Extensions value, or ValueError if it is malformed.

    RFC 6455 section 9.1: a quoted value must be a token once it is unquoted, so no comma or
    semicolon can hide inside quotes.
    """
    elements = split_list(value)
    if len(elements) > MAX_EXTENSIONS:
        raise ValueError(f"more than {MAX_EXTENSIONS} extensions")
    return [_parse_extension(element) for element in elements]


def _parse_extension(element: str) -> Extension:
    name, *parameters = [part.strip(" \t") for part in element.split(";")]
    if not is_token(name):
        raise ValueError("an extension's name is a token")
    return Extension(name.lower(), tuple(_parse_parameter(text) for text in parameters))


def _parse_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = (part.strip(" \t") for part in text.partition("="))
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not is_token(name) or (equals and not is_token(value)):
        raise ValueError("an extension's parameter is a token, or token=token")
    return name.lower(), value if equals else None
