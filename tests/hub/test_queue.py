"""What waits for somebody slow: bounded, in order, and by the policy that was named."""

from __future__ import annotations

from collections import Counter

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
        self.waited: dict[str, int] = {}  # how many are to be taken until a key's value stays
        self.latest: dict[str, int] = {}  # the number of a key's latest, which may be given up
        self.dropped = 0

    def is_outdated(self, item: Waiting) -> bool:
        return item[2] is not None and item[0] < self.latest.get(item[2], 0)

    def is_heavy(self, size: int) -> bool:
        return sum(waiting[1] for waiting in self.waiting) + size > self.options.bytes

    def of(self, is_outdated: bool) -> list[Waiting]:
        return [w for w in self.waiting if self.is_outdated(w) is is_outdated]

    def fits(self, size: int) -> bool:
        is_full = len(self.of(is_outdated=False)) >= self.options.messages
        return not self.waiting or not (self.is_heavy(size) or is_full)

    def put(self, number: int, size: int, key: str | None) -> Offered:
        policy = self.options.overflow
        if policy is not Overflow.KEEP_LATEST:
            key = None
        waiting = [w for w in self.of(is_outdated=False) if key is not None and w[2] == key]
        if waiting and self.waited[str(key)] > 0:
            self.drop(waiting[-1])
        elif key is not None:
            self.waited[key] = len(self.waiting) + 1
        if key is not None:
            self.latest[key] = number
        while not self.fits(size):
            if policy is Overflow.DISCONNECT:
                return Offered.TOO_MUCH
            if policy is Overflow.DROP_NEWEST:
                self.dropped += 1
                return Offered.REFUSED
            goes_first = self.is_heavy(size) and bool(self.of(is_outdated=True))
            self.drop(self.of(is_outdated=goes_first)[0])
        self.waiting.append((number, size, key))
        return Offered.KEPT

    def drop(self, item: Waiting) -> None:
        self.waiting.remove(item)
        self.dropped += 1

    def get(self) -> int:
        self.waited = {key: count - 1 for key, count in self.waited.items()}
        return self.waiting.pop(0)[0]


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
                assert queue.get() == model.get()
                taken += 1
            else:
                with pytest.raises(KeyError):
                    queue.get()
            continue
        offered = queue.put(number, *step)
        assert offered is model.put(number, *step)
        kept += offered is Offered.KEPT
        size = sum(waiting[1] for waiting in model.waiting)
        outdated = sum(model.is_outdated(waiting) for waiting in model.waiting)
        assert len(queue) == len(model.waiting) <= messages + outdated
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


# ---- the latest of each key ---------------------------------------------------------------------

LATEST = OutboxOptions(6, 10_000, Overflow.KEEP_LATEST)  # room for all the keys
letters = st.sampled_from("abcdef")


@given(st.lists(letters | st.none(), max_size=200))
def test_whoever_comes_back_is_sent_what_it_has_not_read(steps: list[str | None]) -> None:
    """It comes back with the position of what it read last: the latest value of each key was read
    by then, or has a position behind that."""
    queue: BoundedQueue[tuple[int, str]] = BoundedQueue(LATEST)
    latest: dict[str, int] = {}
    read: dict[str, int] = {}
    position = -1
    for number, key in enumerate(steps):
        if key is not None:
            queue.put((number, key), 1, key)
            latest[key] = number
        elif queue:
            taken, key = queue.get()
            assert taken > position
            position = read[key] = taken
        assert all(at > position or read[key] == at for key, at in latest.items())
    while queue:
        number, key = queue.get()
        read[key] = number
    assert read == latest


@given(st.lists(st.lists(letters, max_size=20), min_size=40, max_size=60))
def test_no_key_starves(rounds: list[list[str]]) -> None:
    """Whatever is published between two that are taken: it is due once those that waited before it,
    12 at most, are taken, and then 11 others may be in front."""
    queue: BoundedQueue[tuple[str, int]] = BoundedQueue(LATEST)
    latest: dict[str, int] = {}
    since: dict[str, int] = {}  # how many were taken when the key began to wait
    for taken, published in enumerate(rounds):
        for key in published:
            latest[key] = latest.get(key, 0) + 1
            queue.put((key, latest[key]), 1, key)
            since.setdefault(key, taken)
            assert len(queue) <= 12
        if queue:
            key, number = queue.get()
            del since[key]
            if number < latest[key]:  # a second one waits
                since[key] = taken + 1
        assert all(taken - began <= 12 + 1 + 11 for began in since.values())


@pytest.mark.parametrize("messages", [4, 256])
@pytest.mark.parametrize("published", ["aba", "abababababababab", "abcabcba", "aaaaabacad", "abcd"])
def test_the_busiest_key_has_its_turn(published: str, messages: int) -> None:
    """That is published again before each one that is taken: replaced by the new one at the end of
    the queue, its value would never be sent. Room for as many messages as keys is enough, and for
    the bytes of two values of each."""
    room = 2 * len(set(published))
    queue = BoundedQueue[tuple[str, int]](OutboxOptions(messages, room, Overflow.KEEP_LATEST))
    taken: Counter[str] = Counter()
    for number in range(240):
        for key in published:
            queue.put((key, number), 1, key)
        key, of = queue.get()
        taken[key] += 1
        assert number - of <= 4  # what is sent is not old
    keys = set(published)
    assert all(taken[key] >= 240 / len(keys) / 2 for key in keys), taken


def test_an_outdated_value_is_not_given_up_for_a_place_that_it_does_not_take() -> None:
    queue: BoundedQueue[str] = BoundedQueue(OutboxOptions(2, 100, Overflow.KEEP_LATEST))
    for item in ("a1", "b2", "a3"):
        queue.put(item, 1, item[0])
    assert queue.get() == "b2"
    for item in ("a4", "c5", "d6"):
        queue.put(item, 1, item[0])
    assert [queue.get() for _ in range(len(queue))] == ["a3", "c5", "d6"]
    assert queue.dropped == 2


def test_an_outdated_value_goes_before_the_latest_of_another_key() -> None:
    queue: BoundedQueue[str] = BoundedQueue(OutboxOptions(9, 30, Overflow.KEEP_LATEST))
    for item in ("a1", "b2", "a3"):
        queue.put(item, 6, item[0])
    assert queue.get() == "b2"
    for item in ("c4", "a5", "d6"):
        queue.put(item, 6, item[0])
    assert len(queue) == 4  # a3 is among them
    queue.put("e7", 12, "e")
    assert [queue.get() for _ in range(len(queue))] == ["c4", "a5", "d6", "e7"]
    assert queue.dropped == 2
