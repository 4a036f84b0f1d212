"""A receive() that loses what it took when it is cancelled, as granian's does."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Generator
from typing import Any

import pytest

from longwire.asgi import Message
from longwire.toolkit.reading import KeptReceive, cancel_safe

pytestmark = pytest.mark.anyio


class Careless:
    """Hands out futures that each take the next message, whether they are cancelled or not."""

    def __init__(self) -> None:
        self._asking: deque[asyncio.Future[Message]] = deque()

    def __call__(self) -> Any:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asking.append(future)
        return Foreign(future)

    def deliver(self, message: Any) -> None:
        future = self._asking.popleft()
        if not future.done():
            if isinstance(message, Exception):
                future.set_exception(message)
            else:
                future.set_result(message)

    @property
    def is_asked(self) -> int:
        return len(self._asking)


class Foreign:
    """An awaitable that is no coroutine and no future."""

    def __init__(self, future: asyncio.Future[Message]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, Message]:
        return self._future.__await__()


async def give_up_on(receive: KeptReceive, turns: int) -> None:
    """Begin to receive, and cancel it after some turns of the event loop."""
    receiving = asyncio.create_task(receive())
    for _ in range(turns):
        await asyncio.sleep(0)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving


@pytest.mark.parametrize("turns", range(4))
async def test_a_message_outlives_the_receive_that_was_given_up(turns: int) -> None:
    server = Careless()
    receive = KeptReceive(server)
    for number in range(5):
        await give_up_on(receive, turns)
        await give_up_on(receive, 3)
        assert server.is_asked == 1
        server.deliver({"number": number})
        assert (await receive())["number"] == number


async def test_a_message_that_has_come_is_there_before_any_deadline() -> None:
    """uvloop rounds half a millisecond to nothing: the deadline is then due at the next turn."""
    server = Careless()
    receive = KeptReceive(server)
    await give_up_on(receive, 2)
    server.deliver({"number": 0})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    receiving = asyncio.create_task(receive())
    await asyncio.sleep(0)
    assert receiving.done()


async def test_each_message_is_for_one_receiver_and_in_order() -> None:
    server = Careless()
    receive = KeptReceive(server)
    receiving = [asyncio.create_task(receive()) for _ in range(3)]
    for number in range(3):
        while not server.is_asked:
            await asyncio.sleep(0)
        server.deliver({"number": number})
    got = [(await asyncio.wait_for(one, 5))["number"] for one in receiving]
    assert sorted(got) == [0, 1, 2]


async def test_an_error_is_the_servers_own() -> None:
    server = Careless()
    receive = KeptReceive(server)
    await give_up_on(receive, 2)
    server.deliver(OSError("lost"))
    with pytest.raises(OSError, match="lost"):
        await receive()


async def test_what_nobody_waits_for_any_more_ends() -> None:
    server = Careless()
    receive = KeptReceive(server)
    await give_up_on(receive, 2)
    assert receive._pending is not None
    pending = receive._pending
    del receive
    gc.collect()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(pending, 5)


async def test_only_what_is_not_written_in_python_needs_it() -> None:
    queue: asyncio.Queue[Message] = asyncio.Queue()
    assert cancel_safe(queue.get) == queue.get

    async def receive() -> Message:
        return {}

    assert cancel_safe(receive) is receive
    foreign: Any = deque([1]).popleft  # a method in C
    assert isinstance(cancel_safe(foreign), KeptReceive)
