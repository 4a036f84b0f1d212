"""The two streams of a prefix: made by the node that comes first, widened by whoever needs more."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from typing import Any

from longwire.hub.broker import Window
from longwire.hub.brokers.nats.link import Link
from longwire.hub.brokers.nats.options import Options
from longwire.hub.brokers.nats.subjects import Subjects

KEEP_SECONDS = 24 * 3600.0
"""Publications stay for so long beyond their window, out of sight, as far as their number allows:
by them a room knows whether somebody who comes back has missed any."""

FIRST_SIZE, FIRST_SECONDS = 128, 3600.0
"""The window that a new stream is made for: the number of a room's publications, of which it keeps
one more than any window has, and how old they are."""

MOST_SECONDS = 100 * 365 * 24 * 3600.0
"""A window that lasts longer lasts that long: NATS counts nanoseconds in 64 bits."""

DUPLICATES_SECONDS = 120.0
"""For how long a server knows what it has stored; at least twice the timeout."""

MOST_AHEAD = 10_000_000
"""Offsets between two looks at the stream, one every heartbeat."""

EPOCH = "longwire_epoch"
IN_USE, NOT_FOUND = 10058, 10059
UNAVAILABLE = (10008, 10009, 10158)
"""JetStream's codes for what passes: no leader yet, not the leader any more, the same message is
being stored by an earlier attempt."""

PAUSE = 0.05
"""Seconds until such a thing is asked again."""

NANOSECONDS = 1_000_000_000


class Streams:
    """Makes the streams, and knows the epoch: the name of this one life of the rooms' stream."""

    def __init__(self, options: Options, subjects: Subjects, link: Link) -> None:
        self._options = options
        self._subjects = subjects
        self._link = link
        self._size = 0
        self._seconds = 0.0
        self._last = 0
        self._widening = asyncio.Lock()
        self.epoch = ""

    async def prepare(self, deadline: float) -> bool:
        """Make what is not there; return whether the rooms have begun another epoch. BrokerError.

        Two nodes that make a stream at once agree: the second finds the first one's.
        """
        rooms = await self._find_or_make(self._rooms(FIRST_SIZE, FIRST_SECONDS), deadline)
        await self._find_or_make(self._presence(), deadline)
        epoch = self._know(rooms)
        if not epoch:
            raise self._link.error(f"the stream {self._subjects.rooms} is not Longwire's")
        changed, self.epoch = epoch != self.epoch, epoch
        await self.check(deadline)
        return changed

    async def check(self, deadline: float) -> bool:
        """Return whether the rooms' stream is still that of our epoch. BrokerError."""
        found = await self._api(f"STREAM.INFO.{self._subjects.rooms}", None, deadline)
        self._last = int((found.get("state") or {}).get("last_seq") or 0)
        return self._know(found.get("config") or {}) == self.epoch

    def _know(self, config: dict[str, Any]) -> str:
        """Note what the stream keeps by now; return its epoch, "" if it has none."""
        self._size = int(config.get("max_msgs_per_subject", 0))
        self._seconds = int(config.get("max_age", 0)) / NANOSECONDS - KEEP_SECONDS
        return str((config.get("metadata") or {}).get(EPOCH, ""))

    def saw(self, offset: int) -> bool:
        """Note the offset of a message, unless the stream cannot have come so far by now.

        A stranger's message that claims to be far ahead would have all that follow taken for old.
        """
        is_likely = offset <= self._last + MOST_AHEAD
        if is_likely:
            self._last = max(self._last, offset)
        return is_likely

    def fits(self, window: Window) -> bool:
        """Whether the stream keeps enough for this window."""
        return window.size < self._size and min(window.seconds, MOST_SECONDS) <= self._seconds

    async def widen(self, window: Window, deadline: float) -> None:
        """Have the stream keep enough for this window, too. BrokerError."""
        async with self._widening:
            if self.fits(window):
                return
            found = await self._api(f"STREAM.INFO.{self._subjects.rooms}", None, deadline)
            config = _checked(found, self._link)
            size = max(config["max_msgs_per_subject"], window.size + 1)
            age = max(config["max_age"], _age(window.seconds))
            # Another node that does so at once may undo this; check() will see it.
            config = {**config, "max_msgs_per_subject": size, "max_age": age}
            updated = await self._api(f"STREAM.UPDATE.{self._subjects.rooms}", config, deadline)
            self._know(_checked(updated, self._link))

    async def _find_or_make(self, config: dict[str, Any], deadline: float) -> dict[str, Any]:
        name = config["name"]
        while True:
            found = await self._api(f"STREAM.INFO.{name}", None, deadline)
            if _code(found) != NOT_FOUND:
                return _checked(found, self._link)
            made = await self._api(f"STREAM.CREATE.{name}", config, deadline)
            if _code(made) != IN_USE:
                return _checked(made, self._link)

    async def _api(self, call: str, body: dict[str, Any] | None, deadline: float) -> dict[str, Any]:
        payload = b"" if body is None else json.dumps(body).encode()
        return await ask_jetstream(self._link, f"$JS.API.{call}", payload, deadline)

    def _rooms(self, size: int, seconds: float) -> dict[str, Any]:
        source = self._subjects.all_rooms
        return {
            **self._common(self._subjects.rooms, [source], source),
            "max_msgs_per_subject": size,
            "max_age": _age(seconds),
            "metadata": {EPOCH: secrets.token_hex(4)},
        }

    def _presence(self) -> dict[str, Any]:
        source = self._subjects.all_clients
        return {
            **self._common(self._subjects.presence, [source, self._subjects.all_nodes], source),
            "max_msgs_per_subject": 1,
            "allow_msg_ttl": True,  # what is said last of somebody who left does not stay
        }

    def _common(self, name: str, subjects: list[str], copied: str) -> dict[str, Any]:
        duplicates = max(DUPLICATES_SECONDS, 2 * self._options.timeout)
        return {
            "name": name,
            "subjects": subjects,
            "retention": "limits",
            "discard": "old",
            "storage": "file",
            "num_replicas": self._options.replicas,
            "duplicate_window": int(duplicates * NANOSECONDS),
            "allow_direct": True,
            "republish": {"src": copied, "dest": self._subjects.all_live},
        }


async def ask_jetstream(
    link: Link, subject: str, payload: bytes, deadline: float, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the answer; an error that passes only if there was no time left. BrokerError."""
    loop = asyncio.get_running_loop()
    while True:
        answer = read_json((await link.ask(subject, payload, deadline, headers)).data)
        if _code(answer) not in UNAVAILABLE or loop.time() + PAUSE >= deadline:
            return answer
        await asyncio.sleep(PAUSE)


def _age(seconds: float) -> int:
    return math.ceil((min(seconds, MOST_SECONDS) + KEEP_SECONDS) * NANOSECONDS)


def read_json(data: bytes) -> dict[str, Any]:
    """Return what JetStream answered; {} for what is no answer of it."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _code(answer: dict[str, Any]) -> int:
    error = answer.get("error")
    return int(error.get("err_code", 0)) if isinstance(error, dict) else 0


def why_refused(answer: dict[str, Any]) -> tuple[int, str] | None:
    """Return JetStream's own code and words, if this answer is an error."""
    if "error" not in answer:
        return None
    error = answer["error"] if isinstance(answer["error"], dict) else {}
    return _code(answer), str(error.get("description", "an error without a word"))


def _checked(answer: dict[str, Any], link: Link) -> dict[str, Any]:
    """Return the stream's configuration in an answer; BrokerError for an error."""
    refused = why_refused(answer)
    if refused is not None:
        raise link.error(f"JetStream: {refused[1]}")
    config = answer.get("config")
    if not isinstance(config, dict):
        raise link.error("JetStream answered what is no answer")
    return config
