"""An editor that speaks Yjs: npm's y-websocket, pycrdt, whoever has their wire.

    editor --step 1--> what it lacks: step 2       server --step 1--> what the server lacks
    editor --update--> stored, then everybody's    awareness both ways

- Somebody who only reads is not asked what they have: what they wrote stays with them.
- An update that depends on what the server does not have (from another tab, past the server) is
  answered with a step 1: the step 2 that comes back has it with all that it depends on.
- Of a step 2 is taken what fits. The rest depends on what the editor itself waits for, having heard
  of what came later from another node: it is asked again once some of that is here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from longwire.documents.editor import Editor
from longwire.documents.replica import Behind
from longwire.documents.sync import (
    AwarenessUpdate,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    encode,
)
from longwire.documents.updates import EMPTY
from longwire.errors import LimitExceeded, MalformedMessage, ReadOnly
from longwire.toolkit import UnexpectedMessage

FRAMING = 16
"""Bytes around an update in its message, at most."""

MAX_ASKED = 3
"""Times in a row that an editor is asked for what its updates depend on, and answers with nothing
new, before it is taken for broken: its answer has all that they depend on."""

MAX_COMPARISONS = 2
"""Comparisons of the nodes that may pass until what an editor's updates lack has come from another;
nobody has it then."""


class YjsEditor(Editor):
    """One connection of binary messages."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._is_asked = False  # whether it owes a step 2
        self._asked = 0  # times since an update of it fitted, or an answer brought news
        self._lacking: dict[int, int] = {}  # what the rest of its last answer depends on
        self._lacking_since = 0.0

    async def greet(self) -> None:
        await self.document.read(self._enter)

    def _enter(self) -> None:
        document = self.document
        document.audience.admit_yjs(self.member)
        if self.role == "write":
            self._ask()
        present = document.awareness.entries()
        if present:
            self._say(encode(AwarenessUpdate(present)))

    async def take(self, data: str | bytes) -> None:
        if isinstance(data, str):
            raise UnexpectedMessage("Yjs' messages are binary; got text")
        if len(data) > self.document.options.max_update + FRAMING:
            raise LimitExceeded(
                f"a message has {self.document.options.max_update} bytes at most; got {len(data)}"
            )
        match decode(data):
            case SyncStep1(state):
                await self.document.read(lambda: self._answer(state))
            case SyncStep2(update):
                await self._apply(update, is_answer=True)
            case Update(update):
                await self._apply(update, is_answer=False)
            case AwarenessUpdate() as awareness:
                self._take_awareness(awareness)
            case QueryAwareness():
                self._say(encode(AwarenessUpdate(self.document.awareness.entries())))
            case PermissionDenied():
                raise MalformedMessage("who is permitted is the server's to say")

    async def _apply(self, update: bytes, *, is_answer: bool) -> None:
        if update == EMPTY:
            self._is_asked = self._is_asked and not is_answer
            return
        if self.role != "write":
            self._say(encode(PermissionDenied("this document is read-only for you")))
            raise ReadOnly("this document is read-only for you")
        author, user = self.member.id, self.user
        if is_answer:
            has_news, lacking = await self.document.apply_part(update, author=author, user=user)
            if has_news:
                self._asked = 0
            if not self._lacking:
                self._lacking_since = time.monotonic()
            self._lacking, self._is_asked = lacking, False
            return
        try:
            await self.document.apply(update, author=author, user=user)
        except Behind:
            if not self._is_expected():
                raise
            if not self._lacking and not self._is_asked:
                await self.document.read(self._ask)
        else:
            self._asked = 0

    def _is_expected(self) -> bool:
        """Return whether an update that does not fit may be in an answer that will."""
        if self._lacking:
            patience = MAX_COMPARISONS * self.document.options.sync_every
            return time.monotonic() - self._lacking_since < patience
        return self._is_asked or self._asked < MAX_ASKED

    def look_after(self, now: float) -> None:
        """Ask for the rest of an answer once some of what that lacks is here."""
        known = self.document.replica.known
        if any(clock <= known.get(client, 0) for client, clock in self._lacking.items()):
            self._lacking = {}
            self._ask()

    def _take_awareness(self, awareness: AwarenessUpdate) -> None:
        document = self.document
        news = document.awareness.take(
            awareness.entries,
            self.member.id,
            time.monotonic(),
            document.options.max_speakers,
        )
        document.tell_awareness(news)
        departed = document.awareness.departed(awareness.entries)
        if departed:
            self._say(encode(AwarenessUpdate(departed)))

    def _answer(self, state: Mapping[int, int]) -> None:
        self._say(encode(SyncStep2(self.document.replica.diff(state))))

    def _ask(self) -> None:
        self._is_asked = True
        self._asked += 1
        self._say(encode(SyncStep1(self.document.replica.known)))

    def _say(self, data: bytes) -> None:
        self.document.audience.post(self.member, data)
