"""Who is in a document: whose word counts, for how long, and how much of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.documents.awareness import OUTDATED_AFTER, Awareness
from longwire.documents.options import DocumentOptions
from longwire.documents.sync import AwarenessEntry
from longwire.errors import LimitExceeded

ADA, BOB = "ada's connection", "bob's connection"


def entry(client: int, clock: int, state: str | None = "{}") -> AwarenessEntry:
    return AwarenessEntry(client, clock, state)


@pytest.fixture
def awareness() -> Awareness:
    return Awareness(DocumentOptions(max_state=100, max_clients=3, max_awareness=200))


def test_a_newer_clock_is_news_and_an_older_one_is_not(awareness: Awareness) -> None:
    assert awareness.take([entry(1, 5)], ADA, 0.0) == (entry(1, 5),)
    assert awareness.take([entry(1, 5), entry(1, 4)], ADA, 0.0) == ()
    assert awareness.take([entry(1, 6, '{"x":1}')], ADA, 0.0) == (entry(1, 6, '{"x":1}'),)
    assert awareness.entries() == (entry(1, 6, '{"x":1}'),)


def test_nobody_speaks_for_a_client_that_another_introduced(awareness: Awareness) -> None:
    awareness.take([entry(1, 5)], ADA, 0.0)
    assert awareness.take([entry(1, 9), entry(1, 9, None)], BOB, 0.0) == ()
    assert awareness.entries() == (entry(1, 5),)


def test_null_means_that_a_client_has_left(awareness: Awareness) -> None:
    awareness.take([entry(1, 5)], ADA, 0.0)
    assert awareness.take([entry(1, 5, None)], ADA, 0.0) == (entry(1, 5, None),)
    assert awareness.entries() == ()


def test_an_echo_does_not_bring_back_who_has_left(awareness: Awareness) -> None:
    awareness.take([entry(1, 5)], ADA, 0.0)
    assert awareness.leave(ADA, 1.0) == (entry(1, 5, None),)
    assert awareness.take([entry(1, 5)], BOB, 2.0) == ()
    assert awareness.departed([entry(1, 5)]) == (entry(1, 5, None),)


def test_who_comes_back_says_so_with_the_next_clock(awareness: Awareness) -> None:
    awareness.take([entry(1, 5)], ADA, 0.0)
    awareness.leave(ADA, 1.0)
    assert awareness.take([entry(1, 6)], "ada's next connection", 2.0) == (entry(1, 6),)


def test_what_is_not_renewed_expires_and_is_forgotten(awareness: Awareness) -> None:
    awareness.take([entry(1, 5)], ADA, 0.0)
    awareness.take([entry(2, 1)], BOB, 20.0)
    assert awareness.expire(OUTDATED_AFTER - 0.1) == ()
    assert awareness.expire(OUTDATED_AFTER) == (entry(1, 5, None),)
    assert awareness.entries() == (entry(2, 1),)
    awareness.expire(3 * OUTDATED_AFTER)
    awareness.expire(5 * OUTDATED_AFTER)
    assert not awareness._known


def test_clients_are_bounded(awareness: Awareness) -> None:
    for client in range(10):
        awareness.take([entry(client, 1)], client, 0.0)
    assert len(awareness) == 3


def test_one_connection_speaks_for_a_few(awareness: Awareness) -> None:
    assert len(awareness.take([entry(c, 1) for c in range(3)], ADA, 0.0, speakers=2)) == 2


def test_states_are_bounded_each_and_together(awareness: Awareness) -> None:
    with pytest.raises(LimitExceeded, match="100 bytes"):
        awareness.take([entry(1, 1, '{"x":"' + 100 * "x" + '"}')], ADA, 0.0)
    state = '{"x":"' + 80 * "x" + '"}'
    assert len(awareness.take([entry(client, 1, state) for client in range(3)], ADA, 0.0)) == 2
    assert awareness.take([entry(0, 2, "{}")], ADA, 0.0)
    assert awareness.take([entry(2, 1, state)], ADA, 0.0), "there is room again"


def test_the_clients_that_left_are_bounded_too(awareness: Awareness) -> None:
    for client in range(100):
        awareness.take([entry(client, 1)], ADA, 0.0)
        awareness.leave(ADA, 0.0)
    assert len(awareness._known) <= 6


def test_of_many_states_of_one_client_the_last_is_news(awareness: Awareness) -> None:
    states = [entry(1, clock, f'{{"x":{clock}}}') for clock in range(1, 100)]
    assert awareness.take(states, ADA, 0.0) == (states[-1],)
    awareness.leave(ADA, 1.0)
    assert awareness.departed(states) == (entry(1, 99, None),)


ENTRIES = st.builds(
    entry, st.integers(1, 5), st.integers(1, 4), st.sampled_from(["{}", '{"x":1}', None])
)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(ENTRIES, max_size=6)), max_size=20))
def test_room_is_counted_as_it_is_taken_and_left(said: list[tuple[str, list[Any]]]) -> None:
    awareness = Awareness(DocumentOptions(max_clients=3, max_awareness=20))
    for now, (owner, entries) in enumerate(said):
        awareness.take(entries, owner, now * 5.0, speakers=2)
        if not entries:
            awareness.leave(owner, now * 5.0)
            awareness.expire(now * 5.0)
        assert len(awareness) == len(awareness.entries()) <= 3
        assert sum(len(entry.state or "") for entry in awareness.entries()) <= 20
        owned = Counter(known.owner for known in awareness._known.values())
        assert awareness._owned == owned
        assert all(count <= 2 for count in owned.values())
    awareness.expire(1000.0)
    awareness.expire(2000.0)
    assert (len(awareness), awareness._size, len(awareness._owned)) == (0, 0, 0)
