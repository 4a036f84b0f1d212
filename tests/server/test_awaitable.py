"""The rules of a task that is resumed at once, on receive() of a real Inbox.

The same tests run compiled and interpreted, on asyncio's loop and on uvloop.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import anyio
import pytest

from longwire.server.inbox import Inbox

pytestmark = pytest.mark.anyio

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class NoReader:
    def on_inbox_empty(self) -> None:
        pass


@pytest.fixture
async def inbox(anyio_backend: Any) -> Inbox:
    inbox = Inbox(NoReader(), asyncio.get_running_loop(), 4)
    assert await inbox.receive() == {"type": "websocket.connect"}
    return inbox


async def put_from_a_callback(inbox: Inbox, *messages: str) -> None:
    """Put as data_received() does: from a callback of the loop, outside of any task."""
    done = asyncio.Event()

    def callback() -> None:
        inbox.put(list(messages), sum(map(len, messages)))
        done.set()

    asyncio.get_running_loop().call_soon(callback)
    await done.wait()


def texts(events: list[Any]) -> list[str]:
    return [event["text"] for event in events]


async def test_the_task_runs_inside_the_callback(inbox: Inbox) -> None:
    order = []

    async def wait() -> None:
        order.append((await inbox.receive())["text"])

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)

    def callback() -> None:
        inbox.put(["message"], 7)
        order.append("put has returned")

    asyncio.get_running_loop().call_soon(callback)
    await task
    assert order == ["message", "put has returned"]


async def test_current_task_is_the_one_that_waits(inbox: Inbox) -> None:
    async def wait() -> asyncio.Task[Any] | None:
        await inbox.receive()
        return asyncio.current_task()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await put_from_a_callback(inbox, "a")
    assert await task is task


async def test_context_variables_are_the_tasks_own(inbox: Inbox) -> None:
    async def wait() -> str:
        variable.set("the task's")
        await inbox.receive()
        return variable.get()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    variable.set("the test's")
    await put_from_a_callback(inbox, "a")
    assert await task == "the task's"
    assert variable.get() == "the test's"


async def test_put_from_within_a_task_does_not_enter_another(inbox: Inbox) -> None:
    async def wait() -> Any:
        return await inbox.receive()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    inbox.put(["a"], 1)
    assert not task.done()
    assert (await task)["text"] == "a"


async def test_wait_for_times_out_and_loses_nothing(inbox: Inbox) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(inbox.receive(), 0.01)
    await put_from_a_callback(inbox, "a")
    assert (await asyncio.wait_for(inbox.receive(), 1))["text"] == "a"


async def test_timeout_scope(inbox: Inbox) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await inbox.receive()
    await put_from_a_callback(inbox, "a")
    assert (await inbox.receive())["text"] == "a"


async def test_create_task_of_receive(inbox: Inbox) -> None:
    task: asyncio.Task[Any] = asyncio.create_task(inbox.receive())
    await asyncio.sleep(0)
    await put_from_a_callback(inbox, "a")
    assert (await task)["text"] == "a"


async def test_gather_and_wait(inbox: Inbox) -> None:
    event = asyncio.Event()
    receiving: asyncio.Future[Any] = asyncio.ensure_future(inbox.receive())
    other = asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    await put_from_a_callback(inbox, "a")
    done, _ = await asyncio.wait({receiving, other}, return_when=asyncio.FIRST_COMPLETED)
    assert done == {receiving}
    event.set()
    assert texts([await receiving]) == ["a"]
    await other


async def test_cancel_keeps_its_message(inbox: Inbox) -> None:
    async def wait() -> None:
        await inbox.receive()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel("because")
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert cancelled.value.args == ("because",)


async def test_cancel_after_the_wake_up_loses_nothing(inbox: Inbox) -> None:
    async def wait() -> None:
        await inbox.receive()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    inbox.put(["a"], 1)  # from a task: the wake-up is scheduled, not carried out
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await inbox.receive())["text"] == "a"


async def test_anyio_scopes(inbox: Inbox) -> None:
    with anyio.move_on_after(0.01) as scope:
        await inbox.receive()
    assert scope.cancelled_caught
    async with anyio.create_task_group() as group:
        group.start_soon(inbox.receive)
        await asyncio.sleep(0)
        group.cancel_scope.cancel()
    await put_from_a_callback(inbox, "a")
    assert (await inbox.receive())["text"] == "a"


async def test_two_receives_at_once_share_the_messages_in_order(inbox: Inbox) -> None:
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(inbox.receive()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    await put_from_a_callback(inbox, "a")
    await put_from_a_callback(inbox, "b")
    assert texts([await tasks[0], await tasks[2]]) == ["a", "b"]


async def test_one_task_takes_all_that_one_read_brought(inbox: Inbox) -> None:
    async def wait() -> list[str]:
        return [(await inbox.receive())["text"] for _ in range(3)]

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await put_from_a_callback(inbox, "a", "b", "c")
    assert await task == ["a", "b", "c"]


async def test_the_end_wakes_everyone_and_is_told_again(inbox: Inbox) -> None:
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(inbox.receive()) for _ in range(2)]
    await asyncio.sleep(0)
    inbox.put(["a"], 1)
    inbox.end(1001, "bye", "client")
    told = {"type": "websocket.disconnect", "code": 1001, "reason": "bye", "by": "client"}
    assert [await tasks[0], await tasks[1]] == [{"type": "websocket.receive", "text": "a"}, told]
    assert await inbox.receive() == told


async def test_full_and_empty_again(anyio_backend: Any) -> None:
    class Reader:
        emptied = 0

        def on_inbox_empty(self) -> None:
            self.emptied += 1

    reader = Reader()
    inbox = Inbox(reader, asyncio.get_running_loop(), 4)
    await inbox.receive()
    assert not inbox.put(["x"] * 4, 4)
    assert inbox.put(["x"], 1)
    for _ in range(5):
        await inbox.receive()
    assert reader.emptied == 1
