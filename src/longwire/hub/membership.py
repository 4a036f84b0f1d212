"""Who is connected to this process, and in which rooms.

Members come in, join, leave and go, however their connections end; subscriptions are the
application's own. Member and Subscription are how all of it is called.
"""

from __future__ import annotations

import asyncio
from typing import Any

from longwire.errors import ConnectionClosed, HubClosed
from longwire.hub.counters import Counters
from longwire.hub.encoding import Encoding
from longwire.hub.events import Client, Joined, Position
from longwire.hub.info import check_info
from longwire.hub.member import Member
from longwire.hub.names import check_room, room_of_user
from longwire.hub.rooms import Rooms
from longwire.hub.subscription import Subscription


class Membership:
    """The members and the subscriptions of one hub."""

    def __init__(self, rooms: Rooms, encoding: Encoding, counters: Counters) -> None:
        self.encoding = encoding
        self.counters = counters
        self._rooms = rooms
        self._members: set[Member] = set()
        self._departing: dict[Member, asyncio.Task[None]] = {}
        self._subscriptions: set[Subscription] = set()
        self._has_writers = False

    def __len__(self) -> int:
        return len(self._members)

    async def end(self) -> None:
        """Let all go; the broker is told of all members at once, by its own end."""
        for subscription in self._subscriptions:
            subscription.stop()
        members = list(self._members)
        self._members.clear()
        for member in members:
            member.rooms = ()
            await member.outbox.end()

    def client_of(self, member: Member, name: str) -> Client:
        """Return who a member is in a room, with the info that it joined with."""
        room = self._rooms.find(name)
        known = None if room is None else room.clients.get(member)
        return known or Client(member.id, member.user)

    # ---- members ----------------------------------------------------------------------------

    async def enlist(self, member: Member) -> None:
        """Know a member."""
        await self._rooms.open()
        self._members.add(member)
        try:
            self._check_connected(member)
            if member.user is not None:
                room = await self._rooms.hold(room_of_user(member.user))
                try:
                    self._check_connected(member)
                    room.add(member, Client(member.id, member.user))
                finally:
                    self._rooms.release(room)
        except BaseException:
            self._members.discard(member)
            raise

    def _check_connected(self, member: Member) -> None:
        if self._rooms.is_closed:
            raise HubClosed("the hub is closed")
        if member not in self._members or member.outbox.is_ended:
            raise ConnectionClosed(1006, "the member is not, or no longer, connected")

    async def discharge(self, member: Member) -> None:
        """Forget a member, and wait until it has left."""
        self.forget(member)
        departing = self._departing.get(member)
        await member.outbox.end()
        if departing is not None:
            await asyncio.wait([departing])  # it may be cancelled by the hub's end, but not by ours

    def forget(self, member: Member) -> None:
        """Let a member leave, soon; what closes its connection goes on. Idempotent."""
        if member in self._members:
            self._members.discard(member)
            names = [*member.rooms]
            if member.user is not None:
                names.append(room_of_user(member.user))
            member.rooms = ()
            if names:
                # In a task: the block's end is often a cancellation, and this has to happen.
                task = self._rooms.start(self._depart(member, names))
                task.add_done_callback(lambda _: self._departing.pop(member, None))
                self._departing[member] = task

    async def _depart(self, member: Member, names: list[str]) -> None:
        await asyncio.gather(*(self._remove(member, name) for name in names))

    async def join(
        self, member: Member, name: str, info: Any, since: Position | str | None
    ) -> Joined:
        """Let a member into a room, and tell it what it asks for."""
        check_room(name)
        check_info(info)
        since = Position.of(since)
        self._check_connected(member)
        client = Client(member.id, member.user, info)
        room = await self._rooms.hold(name)
        try:
            joined = await room.admit(member, client, since)
            self._check_connected(member)  # else the broker may be another node's by now
            if name not in member.rooms:
                member.rooms += (name,)
            await self._rooms.enter(room, client)
            self._check_connected(member)
        except BaseException:
            _forget_room(member, name)
            self._rooms.start(self._remove(member, name, client))
            raise
        finally:
            self._rooms.release(room)
        return joined

    async def leave(self, member: Member, name: str) -> None:
        """Let a member out of a room."""
        check_room(name)
        _forget_room(member, name)
        await _finish(self._rooms.start(self._remove(member, name)))

    async def _remove(self, member: Member, name: str, client: Client | None = None) -> None:
        """Let a member out of a room, but not if it has joined again, as another client."""
        room = self._rooms.find(name)
        here = None if room is None else room.clients.get(member)
        if client is not None and here is not client:
            if here is None and room is not None:  # it ended while it was entered: leave no ghost
                await self._rooms.exit(room, client)
            return
        if room is None or here is None:
            return
        room.remove(member)
        room.holds += 1
        try:
            await self._rooms.exit(room, here)
        finally:
            unsubscribing = self._rooms.release(room)
        if unsubscribing is not None:
            await _finish(unsubscribing)

    # ---- subscriptions ----------------------------------------------------------------------

    async def subscribe(
        self, subscription: Subscription, name: str, since: Position | str | None
    ) -> None:
        """Begin a subscription."""
        since = Position.of(since)
        room = await self._rooms.hold(name)
        try:
            await room.admit(subscription, Client(self._rooms.id), since)
            self._rooms.check_current(room)
            self._subscriptions.add(subscription)
        finally:
            self._rooms.release(room)

    async def unsubscribe(self, subscription: Subscription, name: str) -> None:
        """End a subscription."""
        self._subscriptions.discard(subscription)
        room = self._rooms.find(name)
        if room is not None:
            room.remove(subscription)
            room.holds += 1
            unsubscribing = self._rooms.release(room)
            if unsubscribing is not None:
                await _finish(unsubscribing)

    # ---- writers ----------------------------------------------------------------------------

    def note_writer(self) -> None:
        """Note that a writer begins in the next turn of the loop."""
        if not self._has_writers:
            self._has_writers = True
            asyncio.get_running_loop().call_soon(self._forget_writers)

    def _forget_writers(self) -> None:
        self._has_writers = False

    async def let_writers_begin(self) -> None:
        """Have first messages on their way before what the application itself sends behind them."""
        if self._has_writers:
            await asyncio.sleep(0)


def _forget_room(member: Member, name: str) -> None:
    member.rooms = tuple(room for room in member.rooms if room != name)


async def _finish(task: asyncio.Task[None]) -> None:
    """Wait for the task; our cancellation is not its, and the other way round."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
