"""What a hub counts, in plain integers, for the application and for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from longwire.hub.options import Overflow

Metric = tuple[str, str, str, Sequence[tuple[Mapping[str, str], float]]]
Metrics = list[Metric]
"""(kind, name, help, [(labels, value), ...]) for each, as the scope's `longwire.metrics` has it."""


class Counters:
    """What has happened since the hub was made."""

    __slots__ = ("deduplicated", "delivered", "dropped", "gaps", "published", "received")

    def __init__(self) -> None:
        self.published = 0  # by this node: what the broker took
        self.received = 0  # publications from the broker, in rooms of this node
        self.delivered = 0  # messages handed to the server, for one member each
        self.deduplicated = 0  # publications that came twice
        self.gaps = 0  # times that publications were lost beyond the history
        self.dropped: Counter[Overflow] = Counter()  # messages, by policy

    def count_dropped(self, policy: Overflow, messages: int) -> None:
        """Count messages that a member did not keep up with."""
        self.dropped[policy] += messages


def collect(counters: Counters, members: int, users: int, rooms: int) -> Metrics:
    """Return the figures of a hub; docs/hub.md has the table."""

    def one(kind: str, name: str, text: str, value: float) -> Metric:
        return kind, f"longwire_hub_{name}", text, [({}, value)]

    dropped = [({"policy": policy.value}, counters.dropped[policy]) for policy in Overflow]
    return [
        one("gauge", "members", "Connections in the hub.", members),
        one("gauge", "users", "Users that they are of.", users),
        one("gauge", "rooms", "Rooms that somebody here is in.", rooms),
        one("counter", "published", "Messages that this node published.", counters.published),
        one("counter", "received", "Publications in rooms of this node.", counters.received),
        one(
            "counter", "delivered", "Messages handed to the server for members.", counters.delivered
        ),
        ("counter", "longwire_hub_dropped", "Messages for slow members, given up.", dropped),
        one("counter", "duplicates", "Publications that came twice.", counters.deduplicated),
        one("counter", "gaps", "Times that the history did not reach back.", counters.gaps),
    ]
