"""A document's text for those who edit it by operations in JSON: content, versions, what changed.

Made when the first of them comes: pycrdt tells what changed in a text by walking to the place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import pycrdt

from longwire.documents.operations import Operation, Revisions, transform
from longwire.documents.options import REVISIONS
from longwire.documents.positions import (
    index_at,
    index_at_utf8,
    utf8_offset,
    utf16_length,
)
from longwire.documents.replica import Replica
from longwire.errors import InvalidOperation


class TextForm:
    """The root text `name` of a replica, as a str with versions."""

    def __init__(self, replica: Replica, name: str) -> None:
        self._replica = replica
        self._text: pycrdt.Text = replica.doc.get(name, type=pycrdt.Text)
        self.content = str(self._text)
        self.revisions = Revisions(REVISIONS)
        self._changes: list[tuple[int, Operation]] = []
        self._is_lost = False
        self._subscription = self._text.observe(self._on_change)

    def close(self) -> None:
        """Let go of the text."""
        self._text.unobserve(self._subscription)

    @property
    def version(self) -> int:
        """The number of operations that made the content, from when this was made."""
        return self.revisions.version

    def edit(self, operation: Operation, version: Any) -> bytes | None:
        """Do an operation that was made on a version; return the update, None for no change.

        Raises InvalidOperation if it does not fit, the version is not known any more, or the text
        has more than characters.
        """
        if len(self._text) != len(self.content.encode()):
            raise InvalidOperation("the document has more in it than text")
        others = self.revisions.since(version)
        length = utf16_length(self.content)
        length -= sum(utf16_length(other.insert) - other.delete for other in others)
        if operation.at + operation.delete > length:
            raise InvalidOperation(f"version {version} has {length} units")
        content, splices = self.content, []
        for step in transform(operation, others):
            start = index_at(content, step.at)
            end = index_at(content, step.at + step.delete)
            offsets = utf8_offset(content, start), utf8_offset(content, end)
            splices.append((*offsets, step.insert))
            content = content[:start] + step.insert + content[end:]
        return self._replica.edit(self._text, splices)

    def changes(self) -> list[tuple[int, Operation]] | None:
        """Return what changed since this was last asked: versions and the operations that made
        them. None if that cannot be said: then the content is to be sent whole.
        """
        changes, self._changes = self._changes, []
        if self._is_lost:
            self._is_lost = False
            return None
        return changes

    def _on_change(self, event: Any) -> None:
        with contextlib.suppress(InvalidOperation):  # then the length differs
            for operation in self._operations(event.delta):
                self.content = operation.apply(self.content)
                self._changes.append((self.revisions.add(operation), operation))
        if len(self._text) != len(self.content.encode()):  # more in it than text, or less
            self.content = str(self._text)
            self.revisions.forget()
            self._is_lost = True

    def _operations(self, delta: Iterable[dict[str, Any]]) -> Iterable[Operation]:
        """Yield the operations of a delta, each on the text that the one before left."""
        offset = 0  # in UTF-8, as pycrdt counts
        delete, insert = 0, ""
        for part in delta:
            if "insert" in part:
                insert += part["insert"] if isinstance(part["insert"], str) else ""
            elif "delete" in part:
                delete += part["delete"]
            else:
                if insert or delete:
                    yield self._operation(offset, delete, insert)
                    offset += len(insert.encode())
                    insert, delete = "", 0
                offset += part["retain"]
        if insert or delete:
            yield self._operation(offset, delete, insert)

    def _operation(self, offset: int, delete: int, insert: str) -> Operation:
        start = index_at_utf8(self.content, offset)
        end = index_at_utf8(self.content, offset + delete)
        at = utf16_length(self.content[:start])
        return Operation(at, utf16_length(self.content[start:end]), insert)
