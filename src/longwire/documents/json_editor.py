"""An editor without Yjs: operations in JSON on the document's text, with the version they are for.

    < {"type": "document_state", "content": "…", "version": 7, "users": ["ada"]}
    > {"type": "edit", "operation": {"at": 3, "insert": "x"}, "version": 7}
    < {"type": "edit_accepted", "operations": [{"at": 3, "insert": "x"}], "version": 8}
    < {"type": "document_change", "operation": {…}, "user_id": "bob", "version": 9}   others'
    < {"type": "edit_rejected", "reason": "…"}, and a document_state
    < {"type": "user_joined", "user_id": "bob"}, user_left

Versions are this node's, from when the document was opened: they hold for one connection.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from longwire.documents.editor import Editor
from longwire.documents.operations import Operation
from longwire.documents.sync import AwarenessEntry
from longwire.errors import InvalidOperation, LimitExceeded, MalformedMessage, ReadOnly
from longwire.toolkit import UnexpectedMessage

RENEW_AFTER = 15.0
"""Seconds after which it is said again that somebody is here; y-protocols' own figure."""


class JSONEditor(Editor):
    """One connection of text messages."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._client = secrets.randbits(32)  # as whom Yjs' editors see it
        self._clock = 0
        self._said_at = 0.0

    async def greet(self) -> None:
        document = self.document
        await document.read(self._enter)
        if self.user is not None:
            self._say_present(time.monotonic())

    def _enter(self) -> None:
        document = self.document
        audience = document.audience
        audience.admit_json(self.member, document.text_form(), document.awareness.entries())
        self._say(audience.state())

    async def take(self, data: str | bytes) -> None:
        if not isinstance(data, str):
            raise UnexpectedMessage("this document is edited in JSON, in text messages; got binary")
        # A character may take six in JSON.
        if len(data) > 6 * self.document.options.max_update:
            raise LimitExceeded(f"a message has {6 * self.document.options.max_update} characters")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise MalformedMessage("the message is no JSON") from None
        kind = value.get("type") if isinstance(value, dict) else None
        if kind != "edit":
            raise MalformedMessage('a message is {"type": "edit", "operation": …, "version": …}')
        if self.role != "write":
            raise ReadOnly("this document is read-only for you")
        try:
            await self._edit(value)
        except InvalidOperation as error:
            self._say({"type": "edit_rejected", "reason": str(error)})
            await self.document.read(lambda: self._say(self.document.audience.state()))

    async def _edit(self, value: dict[str, Any]) -> None:
        operation = Operation.parse(value.get("operation"))
        await self.document.operate(
            operation, value.get("version"), author=self.member.id, user=self.user
        )

    def look_after(self, now: float) -> None:
        """Say that its user is here, if that was said, some time ago."""
        if self._clock and now - self._said_at >= RENEW_AFTER:
            self._say_present(now)

    def _say_present(self, now: float) -> None:
        """Raises LimitExceeded for a name that is too long."""
        state = json.dumps({"user": {"name": self.user}}, ensure_ascii=False)
        entry = AwarenessEntry(self._client, self._clock + 1, state)
        document = self.document
        document.tell_awareness(document.awareness.take((entry,), self.member.id, now))
        self._clock += 1
        self._said_at = now

    def _say(self, value: dict[str, Any]) -> None:
        self.document.audience.post(self.member, value)
