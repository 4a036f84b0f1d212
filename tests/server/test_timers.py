"""The timer wheel: never early, at most a tick late, nothing forgotten."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any, cast

import pytest

from longwire.server.timers import STANDSTILL, TICK, Timed, TimerWheel
from tests.applications import echo
from tests.conftest import Serve
from tests.wire import PING, text, websocket

pytestmark = pytest.mark.anyio

BATCH = 256
"""Sockets that the poller tells at once."""


class Metronome:
    """What the loop itself makes of a tick: it is as late as everything else on a busy machine."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._beats: list[float] = []
        self._beat()

    def _beat(self) -> None:
        self._beats.append(self._loop.time())
        self._handle = self._loop.call_later(TICK, self._beat)

    def stop(self) -> None:
        self._handle.cancel()

    def count(self, after: float, before: float) -> int:
        return sum(after < beat < before for beat in self._beats)

    @property
    def stood_still(self) -> bool:
        return any(then - now > STANDSTILL for now, then in pairwise(self._beats))


class Entry(Timed):
    def __init__(self, wheel: TimerWheel, act: Any = None) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.told: list[float] = []
        self.happened = asyncio.Event()
        self.act = act

    def on_timer(self) -> None:
        self.told.append(self.loop.time() - self.deadline)
        self.happened.set()
        if self.act:
            self.act()


async def test_never_early_and_hardly_late() -> None:
    wheel, metronome = TimerWheel(asyncio.get_running_loop()), Metronome()
    entries = [Entry(wheel) for _ in range(40)]
    for number, entry in enumerate(entries):
        wheel.schedule(entry, number * 0.01)
    await asyncio.wait_for(asyncio.gather(*(entry.happened.wait() for entry in entries)), 5)
    metronome.stop()
    assert len(wheel) == 0
    for entry in entries:
        (late,) = entry.told
        assert late >= 0
        assert metronome.count(entry.deadline, entry.deadline + late) < 4 or metronome.stood_still


async def test_scheduling_again_moves_and_cancel_forgets() -> None:
    wheel = TimerWheel(asyncio.get_running_loop())
    moved, cancelled = Entry(wheel), Entry(wheel)
    wheel.schedule(moved, 0.01)
    wheel.schedule(moved, 0.3)
    wheel.schedule(cancelled, 0.01)
    wheel.cancel(cancelled)
    wheel.cancel(cancelled)
    await asyncio.wait_for(moved.happened.wait(), 5)
    (late,) = moved.told
    assert late >= 0  # of the later one: it was not told at the first
    assert (cancelled.told, len(wheel)) == ([], 0)


async def test_an_entry_moves_sooner_too() -> None:
    wheel = TimerWheel(asyncio.get_running_loop())
    entry = Entry(wheel)
    wheel.schedule(entry, 60)
    wheel.schedule(entry, 0.01)
    await asyncio.wait_for(entry.happened.wait(), 5)
    assert entry.told[0] >= 0


@pytest.mark.parametrize("delay", [1e12, 1e308, float("inf")])
async def test_a_delay_without_end_stops_no_other(delay: float) -> None:
    wheel = TimerWheel(asyncio.get_running_loop())
    forever, moved, other = Entry(wheel), Entry(wheel), Entry(wheel)
    wheel.schedule(forever, delay)
    wheel.schedule(moved, 0.01)
    wheel.schedule(moved, delay)
    wheel.schedule(other, TICK * 3)
    await asyncio.wait_for(other.happened.wait(), 5)
    assert (forever.told, moved.told, len(wheel)) == ([], [], 2)
    wheel.close()


async def test_an_entry_may_cancel_or_move_others_of_its_slot() -> None:
    wheel = TimerWheel(asyncio.get_running_loop())
    others = [Entry(wheel) for _ in range(2)]

    def act() -> None:
        wheel.cancel(others[0])
        wheel.schedule(others[1], 0.2)

    # Which of a slot comes first is not said, so the one that acts is due a slot earlier.
    first = Entry(wheel, act)
    wheel.schedule(first, 0.01)
    for entry in others:
        wheel.schedule(entry, 0.01 + TICK)
    await asyncio.wait_for(others[1].happened.wait(), 5)
    assert others[0].told == []


async def test_one_that_raises_is_reported_and_stops_no_other() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    wheel = TimerWheel(loop)
    bad = Entry(wheel, lambda: 1 // 0)
    same_slot = [Entry(wheel) for _ in range(5)]
    later = Entry(wheel)
    for entry in (bad, *same_slot):
        wheel.schedule(entry, 0.01)
    wheel.schedule(later, 0.01 + TICK * 2)
    await asyncio.wait_for(later.happened.wait(), 5)
    assert all(entry.told for entry in same_slot)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


async def test_beyond_the_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longwire.server.timers.SLOTS", 4)
    wheel = TimerWheel(asyncio.get_running_loop())
    entry = Entry(wheel)
    wheel.schedule(entry, TICK * 10)
    await asyncio.wait_for(entry.happened.wait(), 5)
    assert entry.told[0] >= 0


async def test_who_stood_still_reads_before_it_judges(serve: Serve) -> None:
    """More have been heard of than the poller reads at once: the loop's timers come between."""
    options = {"ws_ping_interval": 60, "ws_ping_timeout": 2}
    async with serve(echo, **options) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(websocket(server)) for _ in range(BATCH * 2)]
        for session in server.state.connections:
            server.state.timers.schedule(session, 0)
        for client in clients:
            assert (await client.frame()).opcode == PING
        for client in clients:
            os.write(client.socket.fileno(), text("here"))
        time.sleep(2 + STANDSTILL + 0.5)  # noqa: ASYNC251
        for client in clients:
            assert await client.message() == "here"


class StoppedClock:
    """A loop as the wheel knows it, that turns when the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due = 0.0
        self._turn: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, turn: Callable[[], None]) -> object:
        self.due, self._turn = when, turn
        return turn  # the handle, which nobody cancels

    def turn(self, late: float) -> None:
        self.now = self.due + late
        self._turn()


async def test_who_stands_still_again_while_it_reads_reads_again() -> None:
    """As a handler has it that blocks for each of the messages that came meanwhile."""
    clock = StoppedClock()
    wheel = TimerWheel(cast(asyncio.AbstractEventLoop, clock))
    entry, later = Entry(wheel), Entry(wheel)
    wheel.schedule(entry, TICK / 2)
    for _ in range(3):
        clock.turn(late=STANDSTILL * 2)
        assert clock.due == clock.now + STANDSTILL
        assert entry.told == []
    wheel.schedule(later, TICK * 2)  # while what has come is read
    clock.turn(late=STANDSTILL / 2)
    assert (len(entry.told), len(later.told)) == (1, 1)
    assert len(wheel) == 0


async def test_who_does_not_answer_is_given_up_for_all_that(serve: Serve) -> None:
    options = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.5}
    async with serve(echo, **options) as server, websocket(server) as client:
        assert (await client.frame()).opcode == PING
        time.sleep(STANDSTILL * 2)  # noqa: ASYNC251
        assert (await client.close_frame()).code == 1011
