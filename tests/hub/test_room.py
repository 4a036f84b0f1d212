"""One room over a broker that loses, repeats, delays, forgets and fails, against a model.

Whatever happens, each member is told every publication once and in order, or of a Gap; and once
everybody has left, nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwire.errors import BrokerError, ConnectionClosed, HubError
from longwire.hub import Hub, Member, OnGap, Position, RoomOptions
from longwire.hub import room as room_module
from longwire.hub import rooms as rooms_module
from tests.hub.connections import FakeConnection, turns
from tests.hub.world import ROOM, Story, World

Step = tuple[int, int, int]
EXPECTED = (BrokerError, ConnectionClosed, HubError)


@pytest.fixture(autouse=True, scope="module")
def _hurry() -> Iterator[None]:
    """Ask again at once, and give up the turn after each publication: slices are short here."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (room_module, rooms_module):
            patch.setattr(module, "FIRST_DELAY", 0.0, raising=False)
            patch.setattr(module, "LAST_DELAY", 0.0, raising=False)
        patch.setattr(room_module, "IN_ONE_TURN", 1)
        logging.getLogger("longwire.hub").setLevel(logging.CRITICAL)
        yield
        logging.getLogger("longwire.hub").setLevel(logging.NOTSET)


class Someone:
    """A member, its story, and what it is about."""

    def __init__(self, hub: Hub, on_gap: OnGap) -> None:
        self.story = Story(None, on_gap)
        self.member: Member = hub.connect(FakeConnection(), format=self.format)
        self.tasks: list[asyncio.Task[Any]] = []
        self.is_in = False

    def format(self, event: Any) -> None:
        self.story(event)

    @property
    def is_busy(self) -> bool:
        return any(not task.done() for task in self.tasks)

    def start(self, coroutine: Any) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))

    async def join(self, since: Position | None) -> None:
        self.story.since = since
        with contextlib.suppress(*EXPECTED):
            self.is_in = False
            await self.member.join(ROOM, since=since)
            self.is_in = True

    async def leave(self) -> None:
        self.is_in = False
        with contextlib.suppress(*EXPECTED):
            await self.member.leave(ROOM)


class Play:
    """A number of steps, and then the peace in which all is checked.

    A step is three numbers: which of the possible actions, of whom, and how far the loop goes on.
    """

    def __init__(self, on_gap: OnGap, window: int, *, faults: bool) -> None:
        self.number = 0  # of the present step: whom it is about
        self.on_gap = on_gap
        self.world = World(window)
        self.faults = faults
        room = RoomOptions(history_size=window, on_gap=on_gap)
        self.hub = Hub(self.world, room=room)
        self.people: list[Someone] = []
        self.gone: list[Someone] = []
        self.positions: list[Position] = [Position(0, "e0")]
        self.is_broken = False  # whether the history has ever been too short, or forgotten

    def pick(self, items: list[Any]) -> Any:
        return items[self.number % len(items)]

    def choices(self) -> list[str]:
        world = self.world
        choices = ["publish", "turn", "join"]
        if world.in_flight:
            choices += ["deliver"] * 3
        if world.unapplied():
            choices += ["apply", "apply"]
        if world.pending:
            choices += ["answer"] * 4
        if any(not someone.is_busy and someone.is_in for someone in self.people):
            choices += ["leave", "join again"]
        if self.faults:
            choices += ["restored", "cancel", "end", "lost", "forget"]
            if world.in_flight:
                choices += ["lose", "lose"]
            if world.delivered:
                choices.append("again")
            if world.pending:
                choices += ["fail", "fail after all"]
        return choices

    async def step(self, action: int, number: int, going: int) -> None:
        self.number = number
        choices = self.choices()
        await self.act(choices[action % len(choices)])
        await turns(going)

    async def act(self, action: str) -> None:
        world = self.world
        if action == "publish":
            for _ in range(1 + self.number % 3):
                self.positions.append(world.publish_here())
        elif action == "join" and len(self.people) < 4:
            someone = Someone(self.hub, self.on_gap)
            await someone.member.start()
            self.people.append(someone)
            someone.start(someone.join(self.since()))
        elif action == "join again":
            someone = self.pick([s for s in self.people if not s.is_busy and s.is_in])
            someone.start(someone.join(self.since()))
        elif action == "leave":
            someone = self.pick([s for s in self.people if not s.is_busy and s.is_in])
            someone.start(someone.leave())
        elif action == "deliver":
            world.deliver()
        elif action == "lose":
            world.lose()
        elif action == "again":
            world.deliver_again(self.number % len(world.delivered))
        elif action == "apply":
            if call := world.unapplied():
                call.apply()
        elif action == "answer":
            world.answer(self.pick(world.pending))
        elif action in ("fail", "fail after all"):
            world.fail(self.pick(world.pending), action == "fail after all")
        elif action == "forget":
            self.is_broken = True
            world.forget_everything()
        elif action == "restored" and world.node is not None:
            world.node.on_restored()
        elif action == "cancel" and self.people:
            someone = self.pick(self.people)
            for task in someone.tasks:
                task.cancel()
        elif action == "end" and self.people:
            someone = self.pick(self.people)
            someone.is_in = False
            someone.start(someone.member.end())
            self.people.remove(someone)
            self.gone.append(someone)
        elif action == "lost" and self.people:
            someone = self.pick(self.people)
            someone.is_in = False
            self.hub._membership.forget(someone.member)
            self.people.remove(someone)
            self.gone.append(someone)

    def since(self) -> Position | None:
        kind, index = self.number % 5, self.number // 5
        if kind == 0:
            return None
        if kind == 1:
            return self.world.position
        position = self.positions[-1 - index % len(self.positions)]
        if kind == 2 and self.faults:
            return Position(position.offset + 50, position.epoch)  # nobody ever was there
        return position

    async def run(self, steps: list[Step], is_restored: bool) -> None:
        await self.hub.open()
        for step in steps:
            await self.step(*step)
        await self.settle()
        # What was lost at the very end is noticed by the next publication, or by a reconnection.
        if is_restored and self.world.node is not None:
            self.world.node.on_restored()
        else:
            self.world.publish_here("last")
        await self.settle()
        self.check()
        for someone in self.people:
            someone.start(someone.member.end())
        await self.settle()
        self.check_empty()
        await self.hub.close()

    async def settle(self) -> None:
        """Let everything come to its end, without losses."""
        world = self.world
        for _ in range(500):
            while world.in_flight:
                world.deliver()
            for call in list(world.pending):
                world.answer(call)
            await turns(10)
            if not world.in_flight and not world.pending:
                break
        else:
            raise AssertionError("there is no end")
        for someone in self.people + self.gone:
            for task in someone.tasks:
                assert task.done()
                if not task.cancelled():
                    task.result()

    def check(self) -> None:
        members = set(self.hub.members(ROOM))
        here = [someone for someone in self.people if someone.is_in]
        assert {someone.member for someone in here} == members
        assert set(self.world.present_) == {someone.member.id for someone in here}
        assert self.world.is_subscribed == bool(here)
        for someone in here:
            story = someone.story
            assert story.joined is not None
            assert story.cursor == self.world.position, story.events
            assert someone.member.rooms == (ROOM,)
            if not self.faults:
                assert story.gaps == 0
        for someone in self.people:
            if not someone.is_in:
                assert someone.member.rooms == ()

    def check_empty(self) -> None:
        assert self.hub.members(ROOM) == []
        assert self.hub.counts().members == 0
        assert self.hub.counts().rooms == 0
        assert self.world.present_ == {}
        assert not self.world.is_subscribed


steps = st.lists(
    st.tuples(st.integers(0, 199), st.integers(0, 29), st.sampled_from([0, 1, 8])), max_size=80
)
thorough = settings(max_examples=300)


@pytest.mark.timeout(300)
@thorough
@given(
    steps, st.booleans(), st.sampled_from([OnGap.RESYNC, OnGap.MARK]), st.sampled_from([1, 3, 8])
)
def test_each_once_and_in_order_whatever_happens(
    steps: list[Step], is_restored: bool, on_gap: OnGap, window: int
) -> None:
    asyncio.run(Play(on_gap, window, faults=True).run(steps, is_restored))


@pytest.mark.timeout(300)
@thorough
@given(steps, st.booleans())
def test_without_losses_nobody_hears_of_a_gap(steps: list[Step], is_restored: bool) -> None:
    asyncio.run(Play(OnGap.RESYNC, 1000, faults=False).run(steps, is_restored))
