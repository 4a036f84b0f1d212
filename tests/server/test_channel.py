"""What supervisor and worker say to each other, over a real pair of sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from longwire.server.channel import MAX_BODY, Channel, Said, Word

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(10)]


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Channel, socket.socket]]:
    """Open a channel; its other end is raw."""
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    with theirs:
        theirs.setblocking(False)
        yield channel, theirs
    channel.close()


async def test_words_with_and_without_a_body() -> None:
    ours, theirs = socket.socketpair()
    one, other = await Channel.open(ours), await Channel.open(theirs)
    body = bytes(range(256)) * 4096  # with line feeds, and more than either socket buffers
    one.say(Word.READY)
    one.say(Word.METRICS, body)
    one.say(Word.ALIVE)
    flushing = asyncio.create_task(one.flush())
    heard = [await other.hear() for _ in range(4)]
    await flushing
    assert heard == [Said(Word.READY, b""), Said(Word.METRICS, body), Said(Word.ALIVE, b""), None]
    other.close()


async def test_a_body_over_the_limit_is_not_said() -> None:
    async with pair() as (channel, _):
        with pytest.raises(ValueError, match="more than"):
            channel.say(Word.METRICS, bytes(MAX_BODY + 1))


@pytest.mark.parametrize(
    "line",
    [b"other\n", b"metrics x\n", b"metrics -1\n", b"metrics %d\n" % (MAX_BODY + 1), b"a" * 100],
    ids=["a word", "a size", "a negative size", "a size over the limit", "a line"],
)
async def test_what_is_none_of_these_is_the_end(line: bytes) -> None:
    async with pair() as (channel, theirs):
        await asyncio.get_running_loop().sock_sendall(theirs, line)
        assert await channel.hear() is None
