"""Operations on a text, and what becomes of one when others came before it; no I/O.

    {"at": 5, "insert": "text"}   {"at": 5, "delete": 4}   {"at": 5, "delete": 4, "insert": "text"}

Positions and lengths count UTF-16 code units, as JavaScript's strings, Yjs and CodeMirror do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from longwire.documents.positions import index_at, utf16_length
from longwire.errors import InvalidOperation

FIELDS = frozenset(("at", "delete", "insert"))


@dataclass(frozen=True, slots=True)
class Operation:
    """Delete so many units at a place, then insert a text there."""

    at: int
    delete: int = 0
    insert: str = ""

    @classmethod
    def parse(cls, value: Any) -> Operation:
        """Return the operation that JSON holds; InvalidOperation says what is wrong with it."""
        if not isinstance(value, dict) or not set(value) <= FIELDS:
            raise InvalidOperation('an operation is {"at": 5, "delete": 2, "insert": "text"}')
        at: Any = value.get("at")
        delete, insert = value.get("delete", 0), value.get("insert", "")
        if not (_is_count(at) and _is_count(delete)):
            raise InvalidOperation('"at" and "delete" are numbers of UTF-16 units, 0 or more')
        if not isinstance(insert, str) or not _is_text(insert):
            raise InvalidOperation('"insert" is a text without lone surrogates')
        if not delete and not insert:
            raise InvalidOperation('an operation has a "delete", an "insert", or both')
        return cls(at, delete, insert)

    def to_json(self) -> dict[str, Any]:
        """Return the form for JSON."""
        value: dict[str, Any] = {"at": self.at}
        if self.delete:
            value["delete"] = self.delete
        if self.insert:
            value["insert"] = self.insert
        return value

    def apply(self, text: str) -> str:
        """Return the text behind the operation; InvalidOperation if it does not fit."""
        start, end = index_at(text, self.at), index_at(text, self.at + self.delete)
        return text[:start] + self.insert + text[end:]


def transform(operation: Operation, others: Iterable[Operation]) -> list[Operation]:
    """Return what is left to do of an operation once the others, in their order, were done.

    What others deleted is not deleted again; what they inserted stays, also inside of what this one
    deletes, which then falls into parts. At the same place, what was there first stays first.
    """
    at = operation.at
    ranges = [(at, at + operation.delete)] if operation.delete else []
    for other in others:
        at = _moved(at, other)
        ranges = [part for whole in ranges for part in _parts(whole, other)]
    return _in_order(at, operation.insert, ranges)


def _moved(at: int, other: Operation) -> int:
    if at < other.at:
        return at
    inserted = utf16_length(other.insert)
    return max(at, other.at + other.delete) - other.delete + inserted


def _parts(whole: tuple[int, int], other: Operation) -> Iterable[tuple[int, int]]:
    """Yield what is left of a range, before and behind what the other did."""
    start, end = whole
    if start < other.at:
        yield start, min(end, other.at)
    behind = max(start, other.at + other.delete)
    shift = utf16_length(other.insert) - other.delete
    if behind < end:
        yield behind + shift, end + shift


def _in_order(at: int, insert: str, ranges: list[tuple[int, int]]) -> list[Operation]:
    """Return operations to be done one after the other: from behind, so that none moves another."""
    operations = []
    for start, end in reversed(ranges):
        if start == at and insert:
            operations.append(Operation(at, end - start, insert))
            insert = ""
        else:
            operations.append(Operation(start, end - start))
    if insert:  # no range stands before the place: it began as the start of the first
        operations.append(Operation(at, 0, insert))
    return operations


class Revisions:
    """The latest operations, by versions: version n is the text behind the first n."""

    def __init__(self, size: int) -> None:
        self.version = 0
        self._latest: deque[Operation] = deque(maxlen=size)

    def add(self, operation: Operation) -> int:
        """Note an operation that was done; return the version it made."""
        self._latest.append(operation)
        self.version += 1
        return self.version

    def forget(self) -> None:
        """Begin again behind a change that has no operations: no version before it is known."""
        self._latest.clear()
        self.version += 1

    def since(self, version: Any) -> list[Operation]:
        """Return what was done after a version; InvalidOperation if that is not known any more."""
        if not _is_count(version) or version > self.version:
            raise InvalidOperation(f"a version is a number up to {self.version}")
        behind = self.version - version
        if behind > len(self._latest):
            raise InvalidOperation(f"version {version} is too old; the document is at its end")
        return list(self._latest)[len(self._latest) - behind :]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
