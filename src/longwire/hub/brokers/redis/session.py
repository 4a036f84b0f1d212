"""Keeps a link to Redis in force: opens it, listens to its pulse, replaces it, asks over it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import (
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from longwire.errors import BrokerError
from longwire.hub.brokers.redis.line import LineLost
from longwire.hub.brokers.redis.link import Link
from longwire.hub.brokers.redis.options import Connections, Options

logger = logging.getLogger("longwire.hub")

BACK_OFF = 0.1, 5.0
"""Seconds before the first attempt to connect again, and before every late one; less a random half,
so that the nodes of a restarted Redis do not come all at once."""

CHANNELS_PER_SECOND = 2000
"""What a link that is opened has time for, beyond the timeout."""


class Owner(Protocol):
    """Whoever asks over a session, as the session sees it."""

    def on_message(self, channel: bytes, payload: bytes) -> None:
        """Take what was published."""

    def channels(self) -> Iterable[bytes]:
        """Return the channels that have to be subscribed to."""

    async def beat(self, link: Link) -> None:
        """Do what is done every half heartbeat; `link.check()` its answers.

        Raises LineLost if the link has ended, ResponseError if Redis refuses.
        """

    def on_lost(self, error: str) -> None:
        """Note that the link has ended."""

    def on_restored(self) -> None:
        """Note that another one is in force."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt whose answer was lost: what was asked may have been done, by that process."""

    run_id: str
    began: float  # on the event loop's clock


Ask = Callable[[Link, Doubt | None], "asyncio.Future[Any]"]
"""Asks over a link, perhaps again."""


class Session:
    """One node's; it has a task, which ends with close()."""

    def __init__(self, options: Options, connections: Connections, owner: Owner) -> None:
        self._options = options
        self._connections = connections
        self._owner = owner
        self._link: Link | None = None
        self._changed = asyncio.Event()  # there is a link, or there will be none any more
        self._is_closed = False
        self._why = "not opened"
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; BrokerError if there is nobody, or if Redis refuses."""
        try:
            link = await self._new_link()
        except (RedisError, OSError, LineLost) as error:
            raise self.error(_words(error)) from None
        self._put_in_force(link)
        self._task = asyncio.create_task(self._keep_for_ever(link))

    async def close(self, farewell: Callable[[Link], Awaitable[None]]) -> None:
        """Say farewell if there is somebody to hear it within the timeout, and let go of
        everything; what is asked from now on raises BrokerError. Idempotent.
        """
        self._is_closed = True
        self._why = "the broker is closed"
        link, self._link = self._link, None
        self._changed.set()
        if self._task is not None:
            self._task.cancel()  # first: a heartbeat behind the farewell would be a resurrection
            await asyncio.gather(self._task, return_exceptions=True)
        if link is not None:
            try:
                with contextlib.suppress(TimeoutError, LineLost, ResponseError):
                    async with asyncio.timeout(self._options.timeout):
                        await farewell(link)
            finally:
                await link.close()

    @property
    def link(self) -> Link | None:
        """The link in force, if there is one."""
        return self._link

    def error(self, why: str) -> BrokerError:
        """Return the error that says so; it has the address, without credentials."""
        return BrokerError(f"{self._options.address}: {why}")

    # Asking

    def deadline(self) -> float:
        """Return until when what begins now may take."""
        return asyncio.get_running_loop().time() + self._options.timeout

    async def ask(self, ask: Ask, deadline: float, *, is_repeatable: bool = True) -> Any:
        """Ask until there is an answer; BrokerError at the deadline, or if Redis refuses.

        What is not repeatable is not asked again once Redis may have heard it.
        """
        doubt = None
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    link = self._link or await self._wait_for_link()
                    began = asyncio.get_running_loop().time()
                    try:
                        return await ask(link, doubt)
                    except LineLost as lost:
                        self._note_end(link)
                        if lost.was_sent and not is_repeatable:
                            raise self.error(f"{lost}; it may have happened") from None
                        if lost.was_sent and doubt is None:
                            doubt = Doubt(link.run_id, began)
                    except NoScriptError:  # somebody flushed them: nothing was done
                        with contextlib.suppress(LineLost):
                            await link.load_scripts()
        except TimeoutError:
            why = "no answer" if self._link else self._why
            raise self.error(f"{why}, for {self._options.timeout:g} s") from None
        except ResponseError as error:
            raise self.error(_words(error)) from None

    async def _wait_for_link(self) -> Link:
        while self._link is None:
            if self._is_closed:
                raise self.error(self._why)
            await self._changed.wait()
        return self._link

    # Keeping

    async def _new_link(self) -> Link:
        channels = list(self._owner.channels())
        link = Link(self._connections, self._owner.on_message)
        seconds = self._options.timeout + len(channels) / CHANNELS_PER_SECOND
        try:
            async with asyncio.timeout(seconds):
                await link.open(channels)
                await self._owner.beat(link)
        except BaseException as error:
            await link.close()
            if isinstance(error, TimeoutError):
                raise OSError(f"no answer within {seconds:g} s") from None
            raise
        for channel in set(channels).difference(self._owner.channels()):
            link.unsubscribe(channel)  # no longer wanted since
        return link

    def _put_in_force(self, link: Link) -> None:
        self._link = link
        self._changed.set()

    def _note_end(self, link: Link) -> None:
        if self._link is link:
            self._link = None
            self._changed.clear()

    async def _keep_for_ever(self, link: Link) -> None:
        while True:
            try:
                reason = await self._watch(link)
            except Exception as error:
                # Whatever it was, a node that has stopped listening would be worse.
                logger.exception("%s: the connection is opened again", self._options.address)
                reason = _words(error)
            self._why = f"the connection was lost ({reason})"
            self._note_end(link)
            await link.close()
            self._owner.on_lost(f"{self._options.address}: {reason}")
            link = await self._connect_again()
            self._put_in_force(link)
            self._owner.on_restored()

    async def _watch(self, link: Link) -> str:
        """Return why the link ended, once it has."""
        said = ""
        while not await link.wait_ended(self._options.heartbeat / 2):
            try:
                await self._owner.beat(link)
            except LineLost:
                break
            except NoScriptError:
                with contextlib.suppress(LineLost):
                    await link.load_scripts()
            except ResponseError as error:
                # A Redis that became a replica stays one: perhaps the address leads elsewhere now.
                if isinstance(error, (ReadOnlyError, MasterDownError)):
                    link.end(str(error))
                elif str(error) != said:
                    said = str(error)
                    logger.warning("%s: the heartbeat failed: %s", self._options.address, error)
            else:
                said = ""
        return await link.commands.ended

    async def _connect_again(self) -> Link:
        delay, most = BACK_OFF
        while True:
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, most)
            try:
                return await self._new_link()
            except (RedisError, OSError, LineLost) as error:
                self._why = f"cannot connect ({_words(error)})"
            except Exception as error:
                logger.exception("%s: cannot connect; trying again", self._options.address)
                self._why = f"cannot connect ({_words(error)})"


def _words(error: Exception) -> str:
    if isinstance(error, NoPermissionError):
        return "NOPERM: the user may not do that"  # Redis' own words name the user
    return str(error) or type(error).__name__
