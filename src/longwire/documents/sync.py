"""The wire of Yjs as npm's y-websocket speaks it: bytes to messages and back, no I/O.

    0 sync       0 step 1: a state vector     1 step 2: an update     2 an update
    1 awareness  client, clock and state in JSON, for each of several clients
    2 auth       0 permission denied: a reason
    3 query      for the awareness of everybody

Numbers are varuints: seven bits a byte, the lowest first. Every length is checked against what is
there before anything is made of it, and bytes behind a message are an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from longwire.documents.reader import Reader
from longwire.errors import MalformedMessage

SYNC, AWARENESS, AUTH, QUERY_AWARENESS = 0, 1, 2, 3
STEP1, STEP2, UPDATE = 0, 1, 2
PERMISSION_DENIED = 0

StateVector = dict[int, int]
"""How much is known of each client: its clock, the number of units it has written."""


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """The peer has this much, and wants the rest."""

    state: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class SyncStep2:
    """The answer to a step 1: all that its sender lacked, as an update."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """What has just been changed."""

    update: bytes


@dataclass(frozen=True, slots=True)
class AwarenessEntry:
    """What is said of one client: its state as a JSON object, or None if it has left."""

    client: int
    clock: int
    state: str | None

    def value(self) -> Any:
        """Return the state as a value."""
        return None if self.state is None else json.loads(self.state)


@dataclass(frozen=True, slots=True)
class AwarenessUpdate:
    """Who is here, and what they do."""

    entries: tuple[AwarenessEntry, ...]


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """The peer asks who is here."""


@dataclass(frozen=True, slots=True)
class PermissionDenied:
    """The server will not have it; y-websocket writes the reason to its console."""

    reason: str


SyncMessage = SyncStep1 | SyncStep2 | Update | AwarenessUpdate | QueryAwareness | PermissionDenied


def decode(data: bytes) -> SyncMessage:
    """Return the message; MalformedMessage if it is none, or none that is known."""
    reader = Reader(data)
    kind = reader.number()
    message: SyncMessage
    if kind == SYNC:
        message = _read_sync(reader)
    elif kind == AWARENESS:
        message = decode_awareness(reader.part())
    elif kind == QUERY_AWARENESS:
        message = QueryAwareness()
    elif kind == AUTH:
        if reader.number() != PERMISSION_DENIED:
            raise MalformedMessage("an auth message says 0, permission denied")
        message = PermissionDenied(reader.text())
    else:
        raise MalformedMessage(f"message type {kind} is not known; 0 to 3 are")
    reader.end()
    return message


def _read_sync(reader: Reader) -> SyncMessage:
    step = reader.number()
    if step == STEP1:
        return SyncStep1(decode_state(reader.part()))
    if step == STEP2:
        return SyncStep2(reader.part())
    if step == UPDATE:
        return Update(reader.part())
    raise MalformedMessage(f"sync message {step} is not known; 0 to 2 are")


def encode(message: SyncMessage) -> bytes:
    """Return the message's bytes."""
    match message:
        case SyncStep1(state):
            return bytes((SYNC, STEP1)) + _part(encode_state(state))
        case SyncStep2(update):
            return bytes((SYNC, STEP2)) + _part(update)
        case Update(update):
            return bytes((SYNC, UPDATE)) + _part(update)
        case AwarenessUpdate(entries):
            return bytes((AWARENESS,)) + _part(encode_awareness(entries))
        case QueryAwareness():
            return bytes((QUERY_AWARENESS,))
        case PermissionDenied(reason):
            return bytes((AUTH, PERMISSION_DENIED)) + _part(reason.encode())


def decode_state(data: bytes) -> StateVector:
    """Return a state vector; MalformedMessage if it is none."""
    reader = Reader(data)
    state: StateVector = {}
    for _ in range(reader.count(2)):
        client = reader.number()
        if client in state:
            raise MalformedMessage(f"client {client} is in the state vector twice")
        state[client] = reader.number()
    reader.end()
    return state


def encode_state(state: Mapping[int, int]) -> bytes:
    """Return a state vector's bytes."""
    numbers = [number(len(state))]
    for client, clock in state.items():
        numbers += (number(client), number(clock))
    return b"".join(numbers)


def decode_awareness(data: bytes) -> AwarenessUpdate:
    """Return an awareness update; MalformedMessage if it is none."""
    reader = Reader(data)
    entries = []
    for _ in range(reader.count(3)):
        client, clock, state = reader.number(), reader.number(), reader.text()
        entries.append(AwarenessEntry(client, clock, _checked_state(client, state)))
    reader.end()
    return AwarenessUpdate(tuple(entries))


def encode_awareness(entries: Iterable[AwarenessEntry]) -> bytes:
    """Return an awareness update's bytes."""
    parts = [
        number(entry.client) + number(entry.clock) + _part((entry.state or "null").encode())
        for entry in entries
    ]
    return number(len(parts)) + b"".join(parts)


def number(value: int) -> bytes:
    """Return a varuint."""
    if value < 0x80:
        return bytes((value,))
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _part(data: bytes) -> bytes:
    return number(len(data)) + data


def _checked_state(client: int, text: str) -> str | None:
    """Return the state's text, None for null: the others' JSON.parse() must not fail on it."""
    try:
        value = _STATES.decode(text)
    except (ValueError, RecursionError):
        raise MalformedMessage(f"the awareness of client {client} is no JSON") from None
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedMessage(f"the awareness of client {client} is no object, and not null")
    return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


_STATES = json.JSONDecoder(parse_constant=_refuse_constant)
