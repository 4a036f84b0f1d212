"""Target: Connection.receive_data(), and its answers, in both roles, with and without deflate."""

from __future__ import annotations

from functools import cache
from typing import Any

from fuzz.input import split
from fuzz.twins import AnyTwin, Twin, load, outcome, plain, same

CLIENT, DEFLATE, FRESH, SMALL, TALK = 1, 2, 4, 8, 16
LARGE_SIZE, SMALL_SIZE = 1 << 20, 100
LAST = ("Closed", "Failed")
TALKATIVE = 16
"""Reads that are followed by messages of ours: more would only take longer."""


def new(twin: AnyTwin, switches: int) -> Any:
    """Return a connection as the switches say."""
    engine = twin["engine"]
    limits = engine.Limits(SMALL_SIZE if switches & SMALL else LARGE_SIZE)
    deflate = None
    if switches & DEFLATE:
        is_fresh = bool(switches & FRESH)
        deflate = engine.Deflate(engine.DeflateSettings(threshold=16), 12, 12, is_fresh, is_fresh)
    role = engine.Role.CLIENT if switches & CLIENT else engine.Role.SERVER
    return engine.Connection(role, limits, deflate, lambda: b"\x01\x80\xff\x7e")


def run(twin: AnyTwin, switches: int, reads: list[bytes]) -> tuple[list[Any], list[Any]]:
    """Feed the reads; return the events, and everything else that was seen."""
    connection = new(twin, switches)
    events: list[Any] = []
    seen: list[Any] = []
    for index, read in enumerate(reads):
        found = plain(connection.receive_data(read))
        assert not (found and is_last(events)), "an event behind the last"
        events += found
        if switches & TALK and index < TALKATIVE:
            for message in ("é" * index, "ascii" * index, read):
                call = connection.send if index % 4 else connection.ping
                argument = message if index % 4 else read[:126]
                seen.append(outcome(twin, ("LocalProtocolError",), call, argument))
            seen.append(bytes(connection.data_to_send()))
            if index % 7 == 6:
                connection.close(1000, "enough")
        seen.append(connection.state.value)
    if not is_last(events):
        connection.receive_eof()
    seen += [bytes(connection.data_to_send()), connection.state.value]
    assert connection.receive_data(b"\x81\x80late") == []
    check(events, switches)
    return events, seen


def is_last(events: list[Any]) -> bool:
    return bool(events) and isinstance(events[-1], tuple) and events[-1][0] in LAST


def check(events: list[Any], switches: int) -> None:
    limit = SMALL_SIZE if switches & SMALL else LARGE_SIZE
    for event in events:
        if isinstance(event, str):
            assert len(event.encode()) <= limit
        elif isinstance(event, bytes):
            assert len(event) <= limit
        elif event[0] == "Failed":
            assert event[1] in (1002, 1007, 1009)
            assert isinstance(event[2], str)
        elif event[0] == "Closed":
            assert event[1] == 1005 or 1000 <= event[1] <= 4999


@cache
def twins() -> tuple[Twin, Twin]:
    return load()


def one_input(data: bytes) -> None:
    switches, reads = split(data)
    compiled, interpreted = (run(twin, switches, reads) for twin in twins())
    same("at one split", compiled, interpreted)
    if not switches & (TALK | DEFLATE):
        # Of two faults in one compressed message the split decides which is found first.
        whole, _ = run(twins()[0], switches, [b"".join(reads)])
        same("at another split", whole, compiled[0])
