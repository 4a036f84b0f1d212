"""What a client may say of itself."""

from __future__ import annotations

import math
from typing import Any

import pytest

from longwire.errors import MessageTooLarge
from longwire.hub.brokers.envelope import decode_client, encode_client
from longwire.hub.events import Client
from longwire.hub.info import MAX_DEPTH, MAX_INFO, check_info


def nested(levels: int, value: Any = None) -> Any:
    """Return a value inside so many lists and objects."""
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


TAKEN = {
    "nothing": None,
    "zero": 0,
    "empty text": "",
    "empty list": [],
    "empty object": {},
    "as many bytes": "x" * (MAX_INFO - 2),
    "as many bytes of UTF-8": "é" * (MAX_INFO // 2 - 1),
    "as many levels": nested(MAX_DEPTH),
    "as many levels, and nothing in them": nested(MAX_DEPTH - 1, []),
}


@pytest.mark.parametrize("info", TAKEN.values(), ids=TAKEN.keys())
def test_what_is_taken_is_read_by_every_node(info: Any) -> None:
    check_info(info)
    client = Client("id", "ann", info)
    assert decode_client(encode_client(client)) == client


@pytest.mark.parametrize(
    "info",
    ["x" * (MAX_INFO - 1), nested(MAX_DEPTH + 1), nested(MAX_DEPTH, {"a": 1}), nested(100_000),
     nested(MAX_DEPTH, []), nested(MAX_DEPTH, {}), nested(MAX_DEPTH, ())],
    ids=["bytes", "a level", "an object", "levels without end",
         "an empty list", "an empty object", "an empty tuple"],
)  # fmt: skip
def test_too_large(info: Any) -> None:
    with pytest.raises(MessageTooLarge, match="4096 bytes of JSON at most, and 64 levels"):
        check_info(info)


circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize(
    "info",
    [math.nan, math.inf, object(), b"", {1, 2}, circle],
    ids=["nan", "inf", "object", "bytes", "set", "circle"],
)
def test_no_json(info: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        check_info(info)
