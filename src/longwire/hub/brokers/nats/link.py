"""The connection to NATS that comes back: with back-off, with its subscriptions, with a word."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Callable
from typing import Protocol

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from longwire.errors import BrokerError
from longwire.hub.brokers.nats.client import Client
from longwire.hub.brokers.nats.options import Options, Server

logger = logging.getLogger("longwire.hub")

FIRST_DELAY, LAST_DELAY = 0.05, 5.0
"""Seconds between attempts to connect: doubling, less a random half."""

FIRST_PAUSE, LAST_PAUSE = 0.02, 0.5
"""Seconds between attempts to ask where nobody listens: a stream's leader is being elected."""

TRIES = 3
MOST_PATIENCE = 2.5
"""An answer that does not come within the timeout by this, or so many seconds, is asked for again:
what was asked of a leader that died is not answered by the next."""

CANCEL_AGAIN = 0.5
"""Seconds until a task that was cancelled, and goes on, is cancelled again."""

HEADERS_ROOM = 1024
"""Bytes that headers may have of the largest message a server takes."""


class Owner(Protocol):
    """Whom a link tells what happens to it. Nothing here waits, and nothing raises."""

    def on_message(self, message: Msg) -> None:
        """Take what came to a subscribed subject."""

    def on_lost(self, error: str) -> None:
        """Note that the connection is gone."""

    async def on_connected(self) -> None:
        """Note that it is back, with its subscriptions; cancelled if it goes again."""


class Lost(Exception):
    """The connection ended before the answer came."""


class Link:
    """Asks, publishes and listens, by way of whatever connection there is."""

    def __init__(self, options: Options, owner: Owner) -> None:
        self._options = options
        self._owner = owner
        self._servers = options.servers()
        self._next_server = random.randrange(len(self._servers))
        self._client: Client | None = None
        self._is_up = asyncio.Event()
        self._subscriptions: dict[str, Subscription | None] = {}
        self._inbox = ""
        self._waiting: dict[str, Callable[[Msg | None], None]] = {}  # None: the connection is lost
        self._tokens = itertools.count()
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._last_error = "it does not answer"

    def deadline(self) -> float:
        """Return the time of the loop at which what begins now must have ended."""
        return asyncio.get_running_loop().time() + self._options.timeout

    def error(self, why: str) -> BrokerError:
        """Return an error that names the address."""
        return BrokerError(f"{self._options.address}: {why}")

    async def open(self) -> None:
        """Connect, and from then on reconnect; BrokerError if no server of the address answers."""
        deadline = self.deadline()
        loop = asyncio.get_running_loop()
        for left in range(len(self._servers), 0, -1):
            share = (deadline - loop.time()) / left  # one that is silent leaves time for the others
            try:
                client = await self._connect(loop.time() + share)
                break
            except BrokerError as error:
                refused = error
        else:
            raise refused
        self._use(client)
        self._task = asyncio.create_task(self._keep(client))

    async def close(self) -> None:
        """End the connection; idempotent."""
        if self._task is not None:
            await end(self._task)
            self._task = None
        client, self._client = self._client, None
        self._is_up.clear()
        self._fail_waiting()
        if client is not None:
            await client.dispose(at_once=False)
        await asyncio.gather(*self._ending)

    # ---- connecting -------------------------------------------------------------------------

    async def _connect(self, deadline: float) -> Client:
        """Return a connection with all subscriptions in force; BrokerError."""
        server = self._servers[self._next_server % len(self._servers)]
        self._next_server += 1
        loop = asyncio.get_running_loop()
        seconds = max(deadline - loop.time(), 0.01)
        options = self._options
        client = Client(self._on_message, options.is_tls)
        try:
            async with asyncio.timeout(seconds):
                await client.open(server, "longwire", seconds, options.credentials, options.tls)
                self._learn(client, server)
                self._inbox = client.new_inbox()
                await client.listen(f"{self._inbox}.*")
                for subject in list(self._subscriptions):
                    if subject in self._subscriptions:  # it may have been left meanwhile
                        self._subscriptions[subject] = await client.listen(subject)
                await self._ping(client)
        except BaseException as error:
            self._dispose(client)
            if not isinstance(error, Exception):
                raise
            text = str(error) or "no answer in time"  # of whatever nats-py makes of strange servers
            raise self.error(f"{text} ({server.host}:{server.port})") from None
        return client

    def _learn(self, client: Client, server: Server) -> None:
        """Add the servers of the cluster that the address does not name."""
        known = {(known.host, known.port) for known in self._servers}
        for found in client.discovered_servers:
            place = (found.hostname or "", found.port or 0)
            if all(place) and place not in known and len(known) < 64:
                known.add(place)
                self._servers.append(Server(*place, server.user, server.password))

    def _use(self, client: Client) -> None:
        self._client = client
        self._is_up.set()

    def _dispose(self, client: Client) -> None:
        task = asyncio.create_task(client.dispose(at_once=True))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _keep(self, client: Client) -> None:
        while True:
            settling = asyncio.create_task(self._owner.on_connected())
            try:
                reason = await self._stay(client)
            finally:
                await end(settling)
            self._client = None
            self._is_up.clear()
            self._fail_waiting()
            self._dispose(client)
            self._last_error = reason
            self._owner.on_lost(f"{self._options.address}: {reason}")
            client = await self._reconnect()
            self._use(client)

    async def _stay(self, client: Client) -> str:
        """Return, once the connection has ended or does not answer, the reason."""
        heartbeat = self._options.heartbeat
        while True:
            done, _ = await asyncio.wait({client.lost}, timeout=heartbeat / 2)
            if done:
                return client.lost.result()
            try:
                async with asyncio.timeout(heartbeat):
                    await self._ping(client)
            except Exception:  # nats-py raises many kinds on a connection that goes
                if client.lost.done():
                    return client.lost.result()
                return f"no answer to a ping for {heartbeat:g} s"

    async def _reconnect(self) -> Client:
        for attempt in itertools.count():
            delay = min(FIRST_DELAY * 2 ** min(attempt, 16), LAST_DELAY)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            try:
                return await self._connect(self.deadline())
            except BrokerError as error:
                logger.debug("%s", error)
                self._last_error = str(error).partition(": ")[2]
        raise AssertionError

    # ---- asking -----------------------------------------------------------------------------

    def _on_message(self, message: Msg) -> None:
        try:
            if message.subject.startswith(self._inbox):
                take = self._waiting.get(message.subject[len(self._inbox) + 1 :])
                if take is not None:
                    take(message)
            else:
                self._owner.on_message(message)
        except Exception:  # it would end nats-py's reading
            logger.exception("a message on %r failed", message.subject)

    def _fail_waiting(self) -> None:
        for take in list(self._waiting.values()):
            take(None)

    async def _ping(self, client: Client) -> None:
        """Have the server send us a message: it has taken all that was sent before."""
        await self._collect(client, None, b"", None, _is_first)

    async def _collect(
        self,
        client: Client,
        subject: str | None,
        payload: bytes,
        headers: dict[str, str] | None,
        is_last: Callable[[Msg], bool],
    ) -> list[Msg]:
        """Publish with a reply subject, or to the reply subject; return the answers. Lost."""
        token = str(next(self._tokens))
        reply = f"{self._inbox}.{token}"
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answers: list[Msg] = []

        def take(message: Msg | None) -> None:
            if future.done():
                return
            if message is None:
                future.set_exception(Lost())
                return
            answers.append(message)
            if is_last(message):
                future.set_result(None)

        self._waiting[token] = take
        try:
            if subject is None:
                await client.publish(reply, payload)
            else:
                await client.publish(subject, payload, reply, headers)
            await future
        finally:
            del self._waiting[token]
        return answers

    async def ask(
        self, subject: str, payload: bytes, deadline: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Return the answer; BrokerError. What is asked may be asked again: it must bear that."""
        return (await self.ask_all(subject, payload, deadline, _is_first, headers))[0]

    async def ask_all(
        self,
        subject: str,
        payload: bytes,
        deadline: float,
        is_last: Callable[[Msg], bool],
        headers: dict[str, str] | None = None,
    ) -> list[Msg]:
        """Return the answers up to the last one; otherwise as ask()."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        why = "no answer in time"
        while True:
            client = await self._connected(deadline)
            self._check_size(client, payload)
            patience = min(self._options.timeout / TRIES, MOST_PATIENCE)
            try:
                async with asyncio.timeout_at(min(deadline, loop.time() + patience)):
                    answers = await self._collect(client, subject, payload, headers, is_last)
                if not _is_unheard(answers[0]):
                    return answers
                why = "JetStream does not answer"
            except Exception as error:  # nats-py raises many kinds on a connection that goes
                why = str(error) or why
            if loop.time() >= deadline:
                raise self.error(why)
            if client is self._client:
                await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
                pause = min(2 * pause, LAST_PAUSE)
            else:
                await asyncio.sleep(0)  # on_lost() is on its way

    async def publish(self, subject: str, payload: bytes, deadline: float) -> None:
        """Have it delivered to whoever listens; BrokerError if there is no connection."""
        client = await self._connected(deadline)
        self._check_size(client, payload)
        try:
            async with asyncio.timeout_at(deadline):
                await client.publish(subject, payload)
        except Exception as error:  # nats-py raises many kinds on a connection that goes
            raise self.error(str(error) or "no answer in time") from None

    def _check_size(self, client: Client, payload: bytes) -> None:
        if len(payload) + HEADERS_ROOM > client.max_payload:
            raise self.error(
                f"a message of {len(payload)} bytes; the server takes {client.max_payload}"
            )

    async def _connected(self, deadline: float) -> Client:
        """Return the connection, as soon as there is one; BrokerError if there is none in time."""
        while self._client is None or self._client.is_gone:
            if self._task is None:
                raise self.error("the broker is not open")
            self._is_up.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._is_up.wait()
            except TimeoutError:
                raise self.error(self._last_error) from None
        return self._client

    # ---- listening --------------------------------------------------------------------------

    async def listen(self, subject: str, deadline: float) -> None:
        """Subscribe, on this and all later connections; what is asked next is asked after it.

        BrokerError; then it is not subscribed.
        """
        client = await self._connected(deadline)
        if subject in self._subscriptions:
            return
        self._subscriptions[subject] = None
        try:
            subscription = await client.listen(subject)
        except Exception as error:
            if self._client is client and not client.is_gone:  # otherwise the next one takes it
                del self._subscriptions[subject]
                raise self.error(str(error)) from None
        else:
            if self._client is client and subject in self._subscriptions:
                self._subscriptions[subject] = subscription

    async def in_force(self, deadline: float) -> None:
        """Return once the server knows all subscriptions; BrokerError."""
        while True:
            client = await self._connected(deadline)
            try:
                async with asyncio.timeout_at(deadline):
                    await self._ping(client)
                return
            except Lost:
                continue
            except Exception as error:
                if not client.is_gone:
                    raise self.error(str(error) or "no answer in time") from None

    async def unlisten(self, subject: str) -> None:
        """End that; harmless if it is not subscribed, or if there is no connection."""
        subscription = self._subscriptions.pop(subject, None)
        if subscription is not None:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait for its end.

    Again and again: wait_for() of Python 3.11, by which nats-py connects, forgets a cancellation
    that comes in the same turn of the event loop as what it waited for.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN)


def _is_first(message: Msg) -> bool:
    return True


def _is_unheard(message: Msg) -> bool:
    """Whether this says that nobody listens where it was asked."""
    return status_of(message) == "503"


def status_of(message: Msg) -> str | None:
    """Return the status that the server gives in place of a message; None for messages.

    One that is stored may have any headers; only those that the server adds are to be trusted.
    """
    headers = message.headers or {}
    return None if "Nats-Stream" in headers else headers.get("Status")
