"""Who is told what happens to a document: editors by what they speak, other nodes, all at once.

Whoever is slow has an outbox of the hub's, bounded; nobody waits for it here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from longwire.documents.operations import Operation
from longwire.documents.sync import (
    AwarenessEntry,
    AwarenessUpdate,
    Update,
    encode,
)
from longwire.documents.texts import TextForm
from longwire.errors import DocumentError
from longwire.hub.member import Member
from longwire.hub.message import Message

TRY_AGAIN_LATER = 1013


@dataclass(eq=False, slots=True)
class Change:
    """A change on its way: how it is made, by whom, and what came of it.

    `news` is the update, None if nothing changed; `operations` what it did to the text, with the
    versions, None if that is not known: then `content` is what the text became. `version` is the
    text's behind it. `author` is the id of the member that is not told.
    """

    make: Callable[[], bytes | None]
    author: str | None = None
    user: str | None = None
    is_from_node: bool = False
    news: bytes | None = None
    operations: list[tuple[int, Operation]] | None = field(default_factory=list)
    version: int = 0
    content: str = ""
    done: asyncio.Future[None] | None = None

    def note(self, text: TextForm) -> None:
        """Note what it did to the text; more may be done to that before this is told."""
        self.operations = text.changes()
        self.version = text.version
        if self.operations is None:
            self.content = text.content

    def succeed(self) -> None:
        """Tell who waits that it is stored."""
        if self.done is not None and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: DocumentError) -> None:
        """Tell who waits that it is not."""
        if self.done is not None and not self.done.done():
            self.done.set_exception(error)


class Audience:
    """The editors of one document here, and `to_nodes`, which takes messages for other nodes."""

    def __init__(self) -> None:
        self.to_nodes: Callable[[bytes], None] | None = None
        self.is_quiet = True  # nothing was said to Yjs' editors since this was last set
        self._yjs: dict[str, Member] = {}
        self._json: dict[str, Member] = {}
        self._text: TextForm | None = None
        self._users: dict[int, str] = {}  # who is here, for editors in JSON

    @property
    def members(self) -> list[Member]:
        """All editors."""
        return [*self._yjs.values(), *self._json.values()]

    @property
    def users(self) -> list[str]:
        """The names of those who are here, each once."""
        return sorted(set(self._users.values()))

    @property
    def has_json(self) -> bool:
        """Whether somebody is told in JSON."""
        return bool(self._json)

    def admit_yjs(self, member: Member) -> None:
        """Tell somebody in Yjs' messages from now on."""
        self._yjs[member.id] = member

    def admit_json(
        self, member: Member, text: TextForm, present: tuple[AwarenessEntry, ...]
    ) -> None:
        """Tell somebody in JSON from now on."""
        self._text = text
        if not self._json:
            self._users = {}
            self._note_users(present)
        self._json[member.id] = member

    def dismiss(self, member: Member) -> None:
        """Tell somebody nothing more."""
        self._yjs.pop(member.id, None)
        self._json.pop(member.id, None)

    def close_all(self, error: DocumentError | None) -> None:
        """Send everybody away, to come back later."""
        for member in self.members:
            member.close_soon(TRY_AGAIN_LATER, str(error)[:120])

    # ---- what is told -----------------------------------------------------------------------

    def post(self, member: Member, data: bytes | dict[str, Any]) -> None:
        """Tell one editor something."""
        member.outbox.post(Message(data) if isinstance(data, bytes) else _in_json(data))

    def tell(self, change: Change) -> None:
        """Tell everybody of a change that is stored; an author in JSON what became of it."""
        author = self._json.get(change.author or "")
        if author is not None:
            author.outbox.post(_in_json(_accepted(change)))
        if change.news is None:
            return
        data = encode(Update(change.news))
        self._tell_yjs(data, change.author)
        if not change.is_from_node and self.to_nodes is not None:
            self.to_nodes(data)
        if not self._json:
            return
        if change.operations is None:
            self._tell_json(self._state(change.content, change.version))
            return
        for version, operation in change.operations:
            value = {
                "type": "document_change",
                "operation": operation.to_json(),
                "user_id": change.user,
                "version": version,
            }
            self._tell_json(value, change.author)

    def tell_awareness(
        self, entries: tuple[AwarenessEntry, ...], *, is_from_node: bool = False
    ) -> None:
        """Tell everybody, who said it included: y-websocket hangs up if it hears nothing at all."""
        if not entries:
            return
        data = encode(AwarenessUpdate(entries))
        self._tell_yjs(data)
        if not is_from_node and self.to_nodes is not None:
            self.to_nodes(data)
        if self._json:
            for kind, user in self._note_users(entries):
                self._tell_json({"type": kind, "user_id": user})

    def reset(self, text: TextForm) -> None:
        """Tell editors in JSON the whole text: it has versions of its own."""
        self._text = text
        if self._json:
            self._tell_json(self.state())

    def state(self) -> dict[str, Any]:
        """Return the whole text, as editors in JSON are told."""
        assert self._text is not None
        return self._state(self._text.content, self._text.version)

    def _state(self, content: str, version: int) -> dict[str, Any]:
        return {
            "type": "document_state",
            "content": content,
            "version": version,
            "users": self.users,
        }

    def keep_awake(self) -> None:
        """Say something to Yjs' editors if nothing was said since this was last called.

        y-websocket hangs up after 30 s without a message, and who only reads may hear none.
        """
        if self.is_quiet:
            self._tell_yjs(encode(AwarenessUpdate(())))
        self.is_quiet = True

    def _tell_yjs(self, data: bytes, author: str | None = None) -> None:
        self.is_quiet = False
        message = Message(data)
        for member_id, member in self._yjs.items():
            if member_id != author:
                member.outbox.post(message)

    def _tell_json(self, value: dict[str, Any], author: str | None = None) -> None:
        message = _in_json(value)
        for member_id, member in self._json.items():
            if member_id != author:
                member.outbox.post(message)

    def _note_users(self, entries: tuple[AwarenessEntry, ...]) -> list[tuple[str, str]]:
        """Note who came and who left; return what is to be told of users with a name."""
        news = []
        for entry in entries:
            user = _user_of(entry)
            before = self._users.pop(entry.client, None)
            if user is not None:
                self._users[entry.client] = user
            if user != before:
                present = set(self._users.values())
                if before is not None and before not in present:
                    news.append(("user_left", before))
                if user is not None and list(self._users.values()).count(user) == 1:
                    news.append(("user_joined", user))
        return news


def _user_of(entry: AwarenessEntry) -> str | None:
    """Return the name in an awareness state, where editors of Yjs put it."""
    value = entry.value()
    user = value.get("user") if value is not None else None
    name = user.get("name") if isinstance(user, dict) else None
    return name if isinstance(name, str) and name else None


def _accepted(change: Change) -> dict[str, Any]:
    return {
        "type": "edit_accepted",
        "operations": [operation.to_json() for _, operation in change.operations or ()],
        "version": change.version,
    }


def _in_json(value: dict[str, Any]) -> Message:
    return Message(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
