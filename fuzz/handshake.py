"""Target: the opening handshake's parsers, both sides, on headers as a line each."""

from __future__ import annotations

from functools import cache
from typing import Any

from fuzz.twins import AnyTwin, Twin, load, outcome, same

NOT_GET, OLD_HTTP, BARE = 1, 2, 4
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
VALID = [
    (b"host", b"test"),
    (b"upgrade", b"websocket"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", KEY),
]


def headers_in(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return a header for each line, with the name in lower case as HTTP's parser hands it over."""
    lines = [line.partition(b":") for line in data.split(b"\n")]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in lines]


def run(twin: AnyTwin, switches: int, headers: list[tuple[bytes, bytes]]) -> list[Any]:
    engine = twin["engine"]
    refused = ("HandshakeError",)
    method = "POST" if switches & NOT_GET else "GET"
    version = "1.0" if switches & OLD_HTTP else "1.1"
    base = [] if switches & BARE else [
        pair for pair in VALID if pair[0] not in {name for name, _ in headers}
    ]  # fmt: skip
    full = [*base, *headers]
    seen = [outcome(twin, refused, engine.parse_upgrade, method, version, full)]
    if seen[0][0] != "raised":
        request = engine.parse_upgrade(method, version, full)
        seen += respond(twin, request, headers)
    seen.append(outcome(twin, refused, engine.check_response, 101, full, KEY, ["chat"]))
    for _, value in headers:
        text = value.decode("latin-1")
        seen.append(extensions(twin, text))
        seen.append(outcome(twin, refused, accept, twin, text))
    return seen


def respond(twin: AnyTwin, request: Any, headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """Answer a valid request; what comes out has to be one head, whatever went in."""
    engine = twin["engine"]
    agreed = engine.negotiate(request.extensions, engine.DeflateSettings())
    chosen = request.subprotocols[0] if request.subprotocols else None
    answer = engine.upgrade_response(
        request, subprotocol=chosen, extension=agreed[0] if agreed else None
    )
    assert answer.count(b"\r\n\r\n") == 1
    assert answer.endswith(b"\r\n\r\n")
    result = outcome(
        twin, ("LocalProtocolError",), engine.upgrade_response, request, headers=headers
    )
    assert isinstance(result, tuple) or result.count(b"\n") == result.count(b"\r\n")
    return [answer, result, agreed[0] if agreed else None]


def accept(twin: AnyTwin, text: str) -> Any:
    engine = twin["engine"]
    deflate = engine.accept(text, engine.DeflateSettings())
    if deflate is None:
        return None
    assert 9 <= deflate.compress_bits <= 15
    assert 8 <= deflate.inflate_bits <= 15
    deflate.inflate(deflate.compress(b"x"), bytearray(), 100)  # zlib takes these windows
    return deflate.compress_bits, deflate.inflate_bits, deflate.is_compressor_fresh


def extensions(twin: AnyTwin, text: str) -> Any:
    try:
        found = twin["engine.headers"].parse_extensions(text)
    except ValueError as error:
        return ("raised", str(error))
    return [(extension.name, extension.parameters) for extension in found]


@cache
def twins() -> tuple[Twin, Twin]:
    return load()


def one_input(data: bytes) -> None:
    switches, headers = data[0] if data else 0, headers_in(data[1:])
    compiled, interpreted = (run(twin, switches, headers) for twin in twins())
    same("the handshake", compiled, interpreted)
