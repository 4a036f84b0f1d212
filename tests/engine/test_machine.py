"""Conversations that nobody thought of: two engines with each other, and compiled with interpreted.

hypothesis chooses the operations, in any order, and shrinks what breaks an invariant.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from longwire.engine import (
    Closed,
    Connection,
    Deflate,
    DeflateSettings,
    Event,
    Failed,
    Limits,
    Role,
    State,
    accept,
    connection,
    negotiate,
    offer,
)
from longwire.engine.connection import MAX_PONGS
from tests.engine import twins
from tests.engine.feeding import cut_at, cuts
from tests.wire import BINARY, CLOSE, CONT, PONG, TEXT, frame

SERVER, CLIENT = 0, 1
sides = st.sampled_from((SERVER, CLIENT))
messages = st.text(max_size=40) | st.binary(max_size=40) | st.just("long é " * 9000)
deflates = st.none() | st.builds(
    DeflateSettings,
    server_max_window_bits=st.integers(9, 15),
    client_max_window_bits=st.integers(9, 15),
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    threshold=st.sampled_from((0, 30)),
)
codes = st.sampled_from((None, 1000, 1001, 3000, 4999))


def agree(wanted: DeflateSettings | None) -> tuple[Deflate | None, Deflate | None]:
    if wanted is None:
        return None, None
    answer = negotiate(offer(wanted), wanted)
    assert answer is not None
    return answer[1], accept(answer[0], wanted)


def opcodes(wire: bytes) -> list[int]:
    """Return the opcodes of whole frames, read here and not by the engine."""
    found = []
    while wire:
        size = wire[1] & 0x7F
        start = {126: 4, 127: 10}.get(size, 2)
        length = int.from_bytes(wire[2:start], "big") if start > 2 else size
        found.append(wire[0] & 15)
        wire = wire[start + (4 if wire[1] & 0x80 else 0) + length :]
    return found


class Conversation(RuleBasedStateMachine):
    """A server and a client; what one writes lies in a pipe until some of it is delivered."""

    @initialize(wanted=deflates)
    def open(self, wanted: DeflateSettings | None) -> None:
        keys = itertools.cycle((b"\x00\x00\x00\x00", b"\x01\x02\x03\x04", b"\xff\xfe\xfd\xfc"))
        server_side, client_side = agree(wanted)
        self.ends = (
            Connection(Role.SERVER, Limits(), server_side),
            Connection(Role.CLIENT, Limits(), client_side, lambda: next(keys)),
        )
        self.pipes = [bytearray(), bytearray()]  # from each side, on its way
        self.written = [b"", b""]
        self.sent: list[list[str | bytes]] = [[], []]
        self.events: list[list[Event]] = [[], []]
        self.has_closed = [False, False]  # of its own accord, the peer's close not having come

    def is_open(self, side: int) -> bool:
        return self.ends[side].state is State.OPEN

    def has_heard_the_end(self, side: int) -> bool:
        return any(isinstance(event, Closed) for event in self.events[side])

    @rule(side=sides, message=messages, compress=st.booleans())
    def send(self, side: int, message: str | bytes, compress: bool) -> None:
        if self.is_open(side):
            self.ends[side].send(message, compress)
            self.sent[side].append(message)

    @rule(side=sides, parts=st.lists(st.binary(max_size=9), min_size=2, max_size=5))
    def send_fragments(self, side: int, parts: list[bytes]) -> None:
        """The engine itself never fragments; a peer may, with a ping in between."""
        if not self.is_open(side) or self.has_heard_the_end(side):
            return
        self.flush(side)
        mask = b"\x05\x06\x07\x08" if side == CLIENT else None
        first, *middle, last = parts
        frames = [frame(BINARY, first, fin=False, mask=mask)]
        frames += [frame(CONT, part, fin=False, mask=mask) for part in middle]
        frames += [frame(9, b"between", mask=mask), frame(CONT, last, mask=mask)]
        self.write(side, b"".join(frames))
        self.sent[side].append(b"".join(parts))

    @rule(side=sides, payload=st.binary(max_size=125), count=st.sampled_from((1, 40)))
    def ping(self, side: int, payload: bytes, count: int) -> None:
        if self.is_open(side):
            for _ in range(count):
                self.ends[side].ping(payload)

    @rule(side=sides, code=codes, reason=st.text(max_size=50))
    def close(self, side: int, code: int | None, reason: str) -> None:
        if self.is_open(side) and not self.has_heard_the_end(side):
            self.has_closed[side] = True
        self.ends[side].close(code, reason if code else "")

    @rule(side=sides)
    def flush(self, side: int) -> None:
        written = bytes(self.ends[side].data_to_send())
        assert opcodes(written).count(PONG) <= MAX_PONGS, "pongs are bounded"
        self.write(side, written)

    def write(self, side: int, data: bytes) -> None:
        self.written[side] += data
        self.pipes[side] += data

    @rule(side=sides, size=st.integers(1, 30) | st.just(1 << 20))
    def deliver(self, side: int, size: int) -> None:
        """Hand over some of what the side has written."""
        pipe = self.pipes[side]
        self.events[1 - side] += self.ends[1 - side].receive_data(bytes(pipe[:size]))
        del pipe[:size]

    @precondition(lambda self: hasattr(self, "ends"))
    @invariant()
    def messages_arrive_once_and_in_order(self) -> None:
        for side in (SERVER, CLIENT):
            received = [event for event in self.events[1 - side] if type(event) in (str, bytes)]
            assert received == self.sent[side][: len(received)]
            assert not any(isinstance(event, Failed) for event in self.events[side])

    def teardown(self) -> None:
        if not hasattr(self, "ends"):
            return
        for side in (SERVER, CLIENT) * 3:  # a close, its answer, and what is still in the pipes
            self.flush(side)
            self.deliver(side, 1 << 30)
        self.messages_arrive_once_and_in_order()
        is_over = any(self.has_closed)
        for side in (SERVER, CLIENT):
            assert self.ends[side].state is (State.CLOSED if is_over else State.OPEN)
            frames = opcodes(self.written[side])
            assert frames.count(CLOSE) == is_over
            assert CLOSE not in frames[:-1], "nothing behind a close frame"
            ends = [event for event in self.events[side] if isinstance(event, Closed)]
            assert len(ends) == is_over
            if not self.has_closed[1 - side]:
                received = [e for e in self.events[1 - side] if isinstance(e, str | bytes)]
                assert received == self.sent[side], "nothing is lost before a close"


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=40)


# ---- compiled and interpreted ---------------------------------------------------------------

IS_COMPILED = not str(connection.__file__).endswith(".py")
needs_both = pytest.mark.skipif(not IS_COMPILED, reason="only the interpreted modules are here")

frames = st.builds(
    frame,
    st.sampled_from((0, 0, 1, 1, 2, 2, 8, 9, 10)) | st.integers(0, 15),
    st.binary(max_size=20) | st.text(max_size=40).map(str.encode) | st.just(b"x" * 130),
    fin=st.booleans(),
    rsv=st.sampled_from((0, 0, 0, 4)) | st.integers(0, 7),
    mask=st.sampled_from((b"\x01\x02\x03\x04", b"\x00\x00\x00\x00", b"\xff\x80\x7f\x01")),
    form=st.sampled_from((None, None, None, 2, 8)),
)
deflated = st.binary(max_size=300).map(
    lambda data: frame(TEXT, agree(DeflateSettings())[1].compress(data), rsv=4)  # type: ignore[union-attr]
)
wires = st.lists(frames | deflated | st.binary(max_size=8), max_size=10).map(b"".join)


def new(module: Any, is_client: bool, is_deflated: bool, max_size: int) -> Any:
    """Return an engine of the module, compiled or interpreted."""
    deflate = agree(DeflateSettings())[is_client] if is_deflated else None
    role = module.Role.CLIENT if is_client else module.Role.SERVER
    return module.Connection(role, Limits(max_size), deflate, lambda: b"\x01\x02\x03\x04")


def typed(events: list[Event]) -> list[tuple[type, Event]]:
    """Tell a Ping from a Pong: as tuples they are equal."""
    return [(type(event), event) for event in events]


@needs_both
@settings(max_examples=400)
@given(
    wire=wires,
    places=st.tuples(cuts, cuts),
    is_client=st.booleans(),
    is_deflated=st.booleans(),
    max_size=st.sampled_from((0, 50, 1000)),
)
def test_parsing_never_differs(
    wire: bytes, places: tuple[list[int], list[int]], is_client: bool, is_deflated: bool,
    max_size: int,
) -> None:  # fmt: skip
    """Compiled at one split, interpreted at another: events, answers and state are the same."""
    ends = [
        new(module, is_client, is_deflated, max_size)
        for module in (connection, twins.interpreted_engine())
    ]
    if is_deflated:
        # Of a compressed message's two faults the split decides which is found first: zlib keeps
        # what it inflated of a piece before the piece's own fault to itself.
        places = (places[0], places[0])
    events = [
        [event for part in cut_at(wire, where) for event in end.receive_data(part)]
        for end, where in zip(ends, places, strict=True)
    ]
    assert typed(events[0]) == typed(events[1])
    assert ends[0].data_to_send() == ends[1].data_to_send()
    assert ends[0].state.value == ends[1].state.value


class Twins(RuleBasedStateMachine):
    """The same operations on both; every result is the same, errors among them."""

    @initialize(
        is_client=st.booleans(), is_deflated=st.booleans(), max_size=st.sampled_from((0, 50, 1000))
    )
    def open(self, is_client: bool, is_deflated: bool, max_size: int) -> None:
        self.ends = [
            new(module, is_client, is_deflated, max_size)
            for module in (connection, twins.interpreted_engine())
        ]

    def both(self, name: str, *arguments: Any) -> None:
        results = []
        for end in self.ends:
            try:
                result = getattr(end, name)(*arguments)
                results.append(typed(result) if isinstance(result, list) else result)
            except Exception as error:
                results.append((type(error), str(error)))
        assert results[0] == results[1]
        assert self.ends[0].state.value == self.ends[1].state.value

    @rule(wire=wires, places=cuts)
    def receive(self, wire: bytes, places: list[int]) -> None:
        for part in cut_at(wire, places):
            self.both("receive_data", part)

    @rule()
    def receive_eof(self) -> None:
        self.both("receive_eof")

    @rule(message=messages | st.just("\ud800") | st.none(), compress=st.booleans())
    def send(self, message: Any, compress: bool) -> None:
        self.both("send", message, compress)

    @rule(name=st.sampled_from(("ping", "pong")), payload=st.binary(max_size=130) | st.none())
    def control(self, name: str, payload: Any) -> None:
        self.both(name, payload)

    @rule(code=codes | st.integers(-1, 5001), reason=st.text(max_size=130))
    def close(self, code: int | None, reason: str) -> None:
        self.both("close", code, reason)

    @rule()
    def data_to_send(self) -> None:
        self.both("data_to_send")


if IS_COMPILED:
    TestTwins = Twins.TestCase
    TestTwins.settings = settings(max_examples=100, stateful_step_count=30)
