"""A document's text for those who edit it by operations in JSON: content, versions, what changed.

Made when the first of them comes: pycrdt tells what changed in a text by walking to the place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pycrdt

from longwire.documents.operations import Operation, Revisions, transform
from longwire.documents.options import REVISIONS
from longwire.documents.positions import utf8_offsets, utf16_length
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
        steps = transform(operation, others)  # from behind: none moves another
        places = [place for step in steps[::-1] for place in (step.at, step.at + step.delete)]
        offsets = utf8_offsets(self.content, places)
        ranges = list(zip(offsets[::2], offsets[1::2], strict=True))[::-1]
        splices = [(*range, step.insert) for range, step in zip(ranges, steps, strict=True)]
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
        self._apply(event.delta)
        # More in it than text, or less; or more operations than anybody is told one by one.
        if len(self._text) != len(self.content.encode()) or len(self._changes) > REVISIONS:
            self.content = str(self._text)
            self.revisions.forget()
            self._is_lost = True

    def _apply(self, delta: Iterable[dict[str, Any]]) -> None:
        """Do to the content what a delta says, and note the operations, each on the text that the
        one before left.
        """
        before = self.content.encode()  # pycrdt counts in UTF-8
        parts: list[str] = []
        offset = 0  # in what was before, in UTF-8
        at = counted = 0  # in UTF-16, where the part of that index begins
        delete, insert = 0, ""
        for part in (*delta, {"retain": len(before)}):
            if "insert" in part:
                insert += part["insert"] if isinstance(part["insert"], str) else ""
            elif "delete" in part:
                delete += part["delete"]
            else:
                if insert or delete:
                    at += sum(map(utf16_length, parts[counted:]))
                    counted = len(parts)
                    deleted = utf16_length(_text(before[offset : offset + delete]))
                    operation = Operation(at, deleted, insert)
                    self._changes.append((self.revisions.add(operation), operation))
                    parts.append(insert)
                    offset += delete
                    delete, insert = 0, ""
                parts.append(_text(before[offset : offset + part["retain"]]))
                offset += part["retain"]
        self.content = "".join(parts)


def _text(data: bytes) -> str:
    return data.decode(errors="ignore")  # half a character: then the length differs
