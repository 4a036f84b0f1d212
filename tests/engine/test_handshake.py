"""The opening handshake's two sides, and what each refuses."""

from __future__ import annotations

import contextlib
import time

import pytest

from longwire.engine import (
    accept_key,
    check_response,
    parse_upgrade,
    upgrade_request,
    upgrade_response,
)
from longwire.engine.headers import parse_extensions
from longwire.errors import HandshakeError, LocalProtocolError

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def parse(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    first, *lines = head.split(b"\r\n")[:-2]
    pairs = [line.split(b": ", 1) for line in lines]
    return first, [(name.lower(), value) for name, value in pairs]


def test_the_rfcs_own_example() -> None:
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_both_sides_agree() -> None:
    sent = upgrade_request(
        "example.org", "/chat?a=1", KEY, subprotocols=["a", "b"], extensions="permessage-deflate",
        headers=[(b"origin", b"http://example.org")],
    )  # fmt: skip
    first, headers = parse(sent)
    assert first == b"GET /chat?a=1 HTTP/1.1"
    request = parse_upgrade("GET", "1.1", headers)
    assert request.subprotocols == ["a", "b"]
    assert request.extensions == "permessage-deflate"
    first, headers = parse(
        upgrade_response(request, subprotocol="b", extension="permessage-deflate")
    )
    assert first == b"HTTP/1.1 101 Switching Protocols"
    assert check_response(101, headers, KEY, ["a", "b"]) == ("b", "permessage-deflate")


@pytest.mark.parametrize(
    ("status", "change", "said"),
    [
        (200, {}, "HTTP 200"),
        (101, {b"upgrade": b"h2c"}, "no upgrade"),
        (101, {b"sec-websocket-accept": b"x"}, "does not fit"),
        (101, {b"sec-websocket-protocol": b"c"}, "nobody offered"),
    ],
)
def test_the_client_refuses(status: int, change: dict[bytes, bytes], said: str) -> None:
    _, headers = parse(upgrade_request("h", "/", KEY))
    _, answer = parse(upgrade_response(parse_upgrade("GET", "1.1", headers)))
    with pytest.raises(HandshakeError, match=said):
        check_response(status, list({**dict(answer), **change}.items()), KEY, ["a"])


@pytest.mark.parametrize(
    "header", [(b"a", b"1\r\n"), (b"a\x00", b"1"), (b"sec-websocket-key", b"x"), ("a", b"1")]
)
def test_headers_that_cannot_be_sent(header: tuple[bytes, bytes]) -> None:
    _, headers = parse(upgrade_request("h", "/", KEY))
    with pytest.raises(LocalProtocolError):
        upgrade_response(parse_upgrade("GET", "1.1", headers), headers=[header])


@pytest.mark.parametrize(
    "unclosed", ['a; b="' + "\\" * 50_000, "a;" * 50_000, '"' * 50_000, "," * 50_000]
)
def test_headers_are_parsed_in_linear_time(unclosed: str) -> None:
    began = time.perf_counter()
    with contextlib.suppress(ValueError):
        parse_extensions(unclosed)
    assert time.perf_counter() - began < 1
