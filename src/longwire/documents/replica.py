"""A document's content: a pycrdt document that gets what was checked, and says what was new."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import pycrdt

from longwire.documents.fitting import fitting
from longwire.documents.reader import Reader
from longwire.documents.sync import StateVector, decode_state, encode_state
from longwire.documents.updates import EMPTY, Contents, scan
from longwire.errors import DocumentError, MalformedMessage


class Behind(DocumentError):
    """An update depends on what is not here: whoever sent it is asked for the rest."""


class Damaged(DocumentError):
    """The content can no longer be trusted: it is made again of what was stored."""


class Replica:
    """One pycrdt document. Belongs to the thread that made it.

    `known` is its state vector; `size` is about that of all its updates, and never too small.
    """

    def __init__(self, updates: Iterable[bytes] = ()) -> None:
        """Raises Damaged if the updates are none."""
        self.doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        self.known: StateVector = {}
        self.size = 0
        self.revision = 0  # counts changes
        self._news: bytes | None = None
        self._digest: tuple[int, bytes] = (-1, b"")
        self._subscription = self.doc.observe(self._on_change)
        for update in updates:
            self._apply(update)
            self.size += len(update)
        self.known = self._state()

    def close(self) -> None:
        """Let go of it: pycrdt's callback would keep it alive for ever."""
        self.doc.unobserve(self._subscription)

    def _on_change(self, event: pycrdt.TransactionEvent) -> None:
        self._news = event.update

    def apply(self, update: bytes) -> bytes | None:
        """Apply an update from outside; return what of it was new, None if nothing was.

        Raises MalformedMessage and Behind, after which nothing has changed; and Damaged.
        """
        contents = scan(update)
        if contents.is_missing(self.known):
            raise Behind("the update depends on changes that the document does not have")
        return self._take(update, contents)

    def apply_part(self, update: bytes) -> tuple[bytes | None, dict[int, int]]:
        """Apply what of an update fits; return what of that was new, and what the rest lacks.

        Raises MalformedMessage, after which nothing has changed; and Damaged.
        """
        contents = scan(update)
        lacking: dict[int, int] = {}
        if contents.is_missing(self.known):
            update, lacking = fitting(update, self.known)
            contents = scan(update)
        return self._take(update, contents), lacking

    def _take(self, update: bytes, contents: Contents) -> bytes | None:
        is_known = contents.is_known(self.known)
        if is_known and not contents.has_deletions:
            return None
        news = self._apply(update)
        if not is_known and (news is None or news == EMPTY):
            raise Damaged("an update was taken, and not applied")
        # Structs of one client cannot depend on each other in a circle: scan() sees to it.
        if len(contents.ends) > 1:
            state = self._state()
            if not contents.is_known(state):
                raise Damaged("an update's parts wait for each other")
            self.known = state
        else:
            for client, end in contents.ends.items():
                self.known[client] = max(end, self.known.get(client, 0))
        return self._changed(news)

    def merge(self, updates: Iterable[bytes]) -> list[bytes]:
        """Apply updates from the store; return what of each was new. Raises Damaged."""
        news = [self._changed(self._apply(update)) for update in updates]
        self.known = self._state()
        return [update for update in news if update is not None]

    def edit(self, text: pycrdt.Text, splices: Iterable[tuple[int, int, str]]) -> bytes | None:
        """Replace ranges of a text, one after the other, in UTF-8 offsets: start, end, insert.

        Returns the update, None for no change.
        """
        self._news = None
        with self.doc.transaction():
            for start, end, insert in splices:
                if end > start:
                    del text[start:end]
                if insert:
                    text.insert(start, insert)
        self.known = self._state()
        return self._changed(self._news)

    def diff(self, state: Mapping[int, int]) -> bytes:
        """Return what somebody with that state lacks, and all deletions."""
        # Only what this document has, too: it is looked up for each.
        known = {client: clock for client, clock in state.items() if client in self.known}
        try:
            return self.doc.get_update(encode_state(known))
        except ValueError as error:
            raise MalformedMessage(f"a state vector that is none: {error}") from None

    def snapshot(self) -> bytes:
        """Return the whole document as one update."""
        return self.doc.get_update()

    def is_said_by(self, snapshot: bytes) -> bool:
        """Return whether a snapshot has all clocks that are known.

        pycrdt writes wrong ones behind a character of which half was deleted.
        """
        try:
            return scan(snapshot).ends == self.known
        except MalformedMessage:
            return False

    def digest(self) -> bytes:
        """Return 16 bytes that are the same wherever the same is known and deleted."""
        revision, digest = self._digest
        if revision != self.revision:
            rest = self.doc.get_update(self.doc.get_state())
            # Ranges, sorted, as pycrdt writes clients in any order. Structs wait for others: rare.
            deletions = rest if rest[0] else sorted(_deletions(rest))
            said = repr((sorted(self.known.items()), deletions)).encode()
            digest = hashlib.blake2b(said, digest_size=16).digest()
            self._digest = self.revision, digest
        return digest

    def _changed(self, news: bytes | None) -> bytes | None:
        if news is None or news == EMPTY:
            return None
        self.revision += 1
        self.size += len(news)
        return news

    def _apply(self, update: bytes) -> bytes | None:
        self._news = None
        try:
            self.doc.apply_update(update)
        except ValueError as error:  # found while decoding: nothing was applied
            raise MalformedMessage(f"the update is none: {str(error)[:80]}") from None
        except Exception as error:  # some of it was applied
            raise Damaged(f"pycrdt failed on an update: {str(error)[:80]}") from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # Rust's own; it can be imported nowhere
                raise
            raise Damaged("pycrdt panicked on an update") from None
        return self._news

    def _state(self) -> StateVector:
        return decode_state(self.doc.get_state())


def _deletions(update: bytes) -> Iterable[tuple[int, int, int]]:
    """Yield the deleted ranges of an update that has no structs: client, clock and length."""
    reader = Reader(update)
    reader.number()
    for _ in range(reader.number()):
        client = reader.number()
        for _ in range(reader.number()):
            yield client, reader.number(), reader.number()
