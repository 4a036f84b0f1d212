"""Where documents are kept: the Store protocol, and a store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it is stored: a snapshot, the updates since, and where that ends.

    A document that was never written has none of it, and position 0.
    """

    snapshot: bytes | None = None
    updates: list[bytes] = field(default_factory=list)
    position: int = 0

    @property
    def parts(self) -> list[bytes]:
        """The snapshot, if there is one, and the updates, in order."""
        return self.updates if self.snapshot is None else [self.snapshot, *self.updates]


class Store(Protocol):
    """Keeps documents by name. Any exception that a method raises is a failure of the store.

    A call may be repeated, or given up on while it still runs: updates are idempotent, so what is
    stored twice does no harm.
    """

    @property
    def is_shared(self) -> bool:
        """Whether all nodes see the same documents here: then each writes its own editors' only."""

    async def load(self, name: str) -> Stored:
        """Return the document."""

    async def append(self, name: str, updates: Sequence[bytes]) -> None:
        """Keep the updates, all or none, behind those that are there; durable on return."""

    async def compact(self, name: str, snapshot: bytes, position: int) -> None:
        """Put the snapshot in the place of all up to a position that load() returned, in one step.

        What was appended since stays. If the document was compacted further, nothing happens.
        """

    async def close(self) -> None:
        """Let go of everything. Idempotent."""


@dataclass(slots=True)
class _Document:
    snapshot: bytes | None = None
    upto: int = 0  # the position that the snapshot has
    updates: list[bytes] = field(default_factory=list)


class MemoryStore:
    """A Store in this process, for tests and for documents that need not outlive it.

    `is_shared` is True where the nodes are Documents of one process that share it.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self.is_shared = is_shared
        self._documents: dict[str, _Document] = {}

    async def load(self, name: str) -> Stored:
        """Return the document."""
        document = self._documents.get(name)
        if document is None:
            return Stored()
        position = document.upto + len(document.updates)
        return Stored(document.snapshot, list(document.updates), position)

    async def append(self, name: str, updates: Sequence[bytes]) -> None:
        """Keep the updates."""
        self._documents.setdefault(name, _Document()).updates.extend(updates)

    async def compact(self, name: str, snapshot: bytes, position: int) -> None:
        """Put the snapshot in the place of all up to the position."""
        document = self._documents.get(name)
        if document is not None and position > document.upto:
            del document.updates[: position - document.upto]
            document.snapshot, document.upto = snapshot, position

    async def close(self) -> None:
        """Nothing is held."""
