"""What a hub counts, in plain integers, for the application and for metrics."""

from __future__ import annotations

from collections import Counter

from longwire.hub.options import Overflow


class Counters:
    """What has happened since the hub was made."""

    __slots__ = ("deduplicated", "delivered", "dropped", "gaps", "published", "received")

    def __init__(self) -> None:
        self.published = 0  # by this node
        self.received = 0  # publications from the broker, in rooms of this node
        self.delivered = 0  # messages given to outboxes
        self.deduplicated = 0  # publications that came twice
        self.gaps = 0  # times that publications were lost beyond the history
        self.dropped: Counter[Overflow] = Counter()  # messages, by policy

    def count_dropped(self, policy: Overflow, messages: int) -> None:
        """Count messages that a member did not keep up with."""
        self.dropped[policy] += messages
