"""What waits for somebody slow: bounded, in order, and by the policy that was named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.hub.options import OutboxOptions, Overflow
from longwire.hub.queue import BoundedQueue, Offered

keys = st.none() | st.sampled_from("abc")
sizes = st.integers(0, 40)
puts = st.tuples(sizes, keys)
steps = st.lists(puts | st.none(), max_size=60)  # None takes one

Waiting = tuple[int, int, "str | None"]  # number, size, key


class Model:
    """The policies, in words as plain as they can be."""

    def __init__(self, options: OutboxOptions) -> None:
        self.options = options
        self.waiting: list[Waiting] = []
        self.dropped = 0

    def fits(self, size: int) -> bool:
        total = sum(waiting[1] for waiting in self.waiting)
        is_room = len(self.waiting) < self.options.messages
        return not self.waiting or (is_room and total + size <= self.options.bytes)

    def put(self, number: int, size: int, key: str | None) -> Offered:
        policy = self.options.overflow
        if policy is Overflow.KEEP_LATEST and key is not None:
            others = [waiting for waiting in self.waiting if waiting[2] != key]
            self.dropped += len(self.waiting) - len(others)
            self.waiting = others
        if not self.fits(size) and policy is Overflow.DISCONNECT:
            return Offered.TOO_MUCH
        if not self.fits(size) and policy is Overflow.DROP_NEWEST:
            self.dropped += 1
            return Offered.REFUSED
        while not self.fits(size):
            del self.waiting[0]
            self.dropped += 1
        self.waiting.append((number, size, key))
        return Offered.KEPT


@given(
    steps,
    st.sampled_from(Overflow),
    st.integers(1, 6),
    st.integers(1, 100),
)
def test_a_queue_is_what_its_policy_says(
    steps: list[tuple[int, str | None] | None], overflow: Overflow, messages: int, bytes: int
) -> None:
    options = OutboxOptions(messages, bytes, overflow)
    queue: BoundedQueue[int] = BoundedQueue(options)
    model = Model(options)
    kept = taken = 0
    for number, step in enumerate(steps):
        if step is None:
            if model.waiting:
                assert queue.get() == model.waiting.pop(0)[0]
                taken += 1
            else:
                with pytest.raises(KeyError):
                    queue.get()
            continue
        offered = queue.put(number, *step)
        assert offered is model.put(number, *step)
        kept += offered is Offered.KEPT
        size = sum(waiting[1] for waiting in model.waiting)
        assert len(queue) == len(model.waiting) <= messages
        assert size <= bytes or len(queue) == 1
        assert queue.dropped == model.dropped
    refused = queue.dropped if overflow is Overflow.DROP_NEWEST else 0
    assert kept == taken + len(queue) + queue.dropped - refused
    rest = [queue.get() for _ in range(len(queue))]
    assert rest == [waiting[0] for waiting in model.waiting] == sorted(rest)
    # Nothing is left behind in the count of bytes: what is as large as the bound fits again.
    assert queue.put(-1, bytes) is Offered.KEPT
    assert bytes < 1 or queue.put(-2, 1) is not Offered.KEPT or len(queue) == 1


@pytest.mark.parametrize("overflow", Overflow)
def test_a_lone_item_may_be_of_any_size(overflow: Overflow) -> None:
    queue: BoundedQueue[str] = BoundedQueue(OutboxOptions(3, 10, overflow))
    assert queue.put("large", 1000) is Offered.KEPT
    assert queue.get() == "large"
    assert queue.put("small", 1) is Offered.KEPT


@pytest.mark.parametrize(
    ("overflow", "offered", "left", "dropped"),
    [
        (Overflow.DROP_OLDEST, Offered.KEPT, ["b1", "a2", "c1"], 1),
        (Overflow.DROP_NEWEST, Offered.REFUSED, ["a1", "b1", "a2"], 1),
        (Overflow.KEEP_LATEST, Offered.KEPT, ["b1", "a2", "c1"], 1),
        (Overflow.DISCONNECT, Offered.TOO_MUCH, ["a1", "b1", "a2"], 0),
    ],
)
def test_the_policies(overflow: Overflow, offered: Offered, left: list[str], dropped: int) -> None:
    queue: BoundedQueue[str] = BoundedQueue(OutboxOptions(3, 1000, overflow))
    outcome = [queue.put(item, 1, item[0]) for item in ("a1", "b1", "a2", "c1")]
    assert outcome == [Offered.KEPT] * 3 + [offered]
    assert queue.dropped == dropped
    assert [queue.get() for _ in range(len(queue))] == left
