"""The inbox alone: what a socket cannot show."""

from __future__ import annotations

import asyncio

import pytest

from longwire.server.inbox import Inbox

pytestmark = pytest.mark.anyio


class Reader:
    def on_inbox_empty(self) -> None:
        raise AssertionError("it was never full")


async def test_a_steady_stream_does_not_make_it_grow() -> None:
    """Never empty, and never longer than two messages."""
    inbox = Inbox(Reader(), asyncio.get_running_loop(), 32)
    assert (await inbox.receive())["type"] == "websocket.connect"
    messages = ["0"]
    inbox.put(messages, 1)
    longest = 0
    for number in range(1, 10_000):
        inbox.put([str(number)], 1)
        assert (await inbox.receive())["text"] == str(number - 1)
        longest = max(longest, len(messages))
    assert longest < 2_000


async def test_nobody_else_makes_what_receive_returns() -> None:
    receive = Inbox(Reader(), asyncio.get_running_loop(), 32).receive()
    with pytest.raises(TypeError, match=r"Inbox\.receive\(\) makes these"):
        type(receive)()
