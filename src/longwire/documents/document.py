"""One open document: its content, who edits it, and the order in which things happen to it.

    change --apply--> replica --news--> store --stored--> editors, other nodes, done
    read  --------------------------------------> between two writes: all it sees is stored

- One writer for each document takes all changes that wait, stores them with one call, and then
  tells everybody. Nothing is told, and nobody who asks is answered, before it is stored.
- Each connection waits for its change before it reads on, so that what waits is bounded by them.
- If the store fails, memory is ahead of it: the document is given up with all its editors, who come
  back to what was stored. If an update breaks pycrdt, the content is made again of what was stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pycrdt

from longwire.documents.audience import Audience, Change
from longwire.documents.awareness import Awareness
from longwire.documents.operations import Operation
from longwire.documents.options import KIB, DocumentOptions
from longwire.documents.replica import Behind, Damaged, Replica
from longwire.documents.stores import Store
from longwire.documents.sync import AwarenessEntry
from longwire.documents.texts import TextForm
from longwire.documents.updates import EMPTY
from longwire.errors import DocumentError, LimitExceeded, MalformedMessage, StoreError
from longwire.hub import Member

COMPACT_FROM = 64 * KIB
"""Bytes of updates before they become a snapshot, or as many as the snapshot has: so a document is
written twice at most for each byte, and loads in the time of twice its size."""

MAX_FROM_NODES = 1024
"""Changes of other nodes that wait to be stored; beyond, they are dropped, and asked for again."""

logger = logging.getLogger("longwire.documents")

T = TypeVar("T")


class Document:
    """An open document. Belongs to one event loop; `audience` is who is told what happens to it."""

    def __init__(self, name: str, store: Store, options: DocumentOptions, text_name: str) -> None:
        self.name = name
        self.options = options
        self.replica = Replica()
        self.text: TextForm | None = None  # once an editor in JSON has come
        self.awareness = Awareness(options)
        self.audience = Audience()
        self.failure: DocumentError | None = None  # then it takes nothing more
        self.holds = 0  # connections
        self.idle_since = time.monotonic()
        self._store = store
        self._text_name = text_name
        self._changes: deque[Change] = deque()
        self._reads: deque[Callable[[], None]] = deque()
        self._from_nodes = 0
        self._writer: asyncio.Task[None] | None = None
        self._log_size = self._compact_at = 0

    # ---- from start to end ------------------------------------------------------------------

    async def load(self) -> None:
        """Load what is stored. Raises StoreError if that fails, or is no document."""
        stored = await self._call_store(self._store.load(self.name))
        replica = Replica()
        try:
            replica = Replica(stored.parts)
        except (MalformedMessage, Damaged) as error:
            raise StoreError(f"document {self.name!r} is damaged in the store: {error}") from None
        self.replica.close()
        self.replica = replica
        self._log_size = sum(len(update) for update in stored.updates)
        self._compact_at = max(COMPACT_FROM, len(stored.snapshot or b""))
        if self.text is not None:
            self.text.close()
            self.text = TextForm(self.replica, self._text_name)
            self.audience.reset(self.text)

    @property
    def is_idle(self) -> bool:
        """Whether nobody has it, and nothing is being written."""
        return not self.holds and self._writer is None

    async def settle(self) -> None:
        """Wait until all that was asked for so far is stored, or the document was given up."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def close(self) -> None:
        """Write what waits, and let go of the content; nobody may hold it any more."""
        await self.settle()
        try:
            if self.failure is None and self._log_size >= COMPACT_FROM:
                # Whoever has opened it again meanwhile writes to the same place.
                await self._compact(is_alone=False)
        except DocumentError as error:  # what is stored fits no more: whoever loads it is told
            logger.warning("document %r is not compacted: %s", self.name, error)
        finally:
            self.give_up(StoreError("the document was closed"))

    def give_up(self, error: DocumentError) -> None:
        """Take nothing more. Idempotent."""
        if self.failure is None:
            self.failure = error
            if self.text is not None:
                self.text.close()
            self.replica.close()

    # ---- what is asked of it ----------------------------------------------------------------

    async def apply(self, update: bytes, *, author: str | None, user: str | None) -> None:
        """Apply an editor's update; on return it is stored, and told to everybody else.

        Raises MalformedMessage, Behind, LimitExceeded; StoreError: then the document is given up.
        """
        self._check_size(update)

        def make() -> bytes | None:
            self._check_room(update)
            return self.replica.apply(update)

        await self._change(Change(make, author, user))

    async def apply_part(
        self, update: bytes, *, author: str | None, user: str | None
    ) -> tuple[bool, dict[int, int]]:
        """Apply what fits of an editor's update; return whether some of that was new, and what the
        rest lacks (fitting()). Raises as apply() does, but for Behind.
        """
        self._check_size(update)
        lacking: dict[int, int] = {}

        def make() -> bytes | None:
            self._check_room(update)
            news, missing = self.replica.apply_part(update)
            lacking.update(missing)
            return news

        change = Change(make, author, user)
        await self._change(change)
        return change.news is not None, lacking

    async def operate(
        self, operation: Operation, version: object, *, author: str, user: str | None
    ) -> None:
        """Do an operation in JSON; its author is told what was done. Raises as apply() does, and
        InvalidOperation.
        """
        insert = operation.insert.encode()
        self._check_size(insert)

        def make() -> bytes | None:
            if insert:
                self._check_room(insert)
            return self.text_form().edit(operation, version)

        await self._change(Change(make, author, user))

    def take(self, update: bytes, on_behind: Callable[[], None]) -> None:
        """Apply another node's update, soon; `on_behind` is called if it does not fit, or is too
        much."""
        if self.failure is not None:
            return
        if self._from_nodes >= MAX_FROM_NODES:
            on_behind()
            return

        def done(future: asyncio.Future[None]) -> None:
            self._from_nodes -= 1
            error = None if future.cancelled() else future.exception()
            if isinstance(error, Behind):
                on_behind()
            elif error is not None:
                logger.warning("document %r: another node's update: %s", self.name, error)

        self._from_nodes += 1
        change = Change(lambda: self.replica.apply(update), is_from_node=True)
        self._add(change).add_done_callback(done)

    async def read(self, look: Callable[[], T]) -> T:
        """Return what `look` finds while all that is there is stored. Raises StoreError.

        What is said of it belongs into `look`: when this returns, more may have been told already,
        and an answer would be older than what was said before it.
        """
        if self.failure is not None:
            raise self.failure
        if self._writer is None:
            return look()
        found: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def answer() -> None:
            if found.done():
                return
            if self.failure is not None:
                found.set_exception(self.failure)
                return
            try:
                found.set_result(look())
            except DocumentError as error:
                found.set_exception(error)

        self._reads.append(answer)
        return await found

    def text_form(self) -> TextForm:
        """Return the document's text with its versions; made when it is first asked for."""
        if self.text is None:
            self.text = TextForm(self.replica, self._text_name)
        return self.text

    def content(self) -> str:
        """Return the text; to be read()."""
        return str(self.replica.doc.get(self._text_name, type=pycrdt.Text))

    def dismiss(self, member: Member) -> None:
        """Tell an editor nothing more; the text's versions go with the last one in JSON."""
        self.audience.dismiss(member)
        if self.text is not None and not self.audience.has_json and self.failure is None:
            self.text.close()
            self.text = None

    def tell_awareness(self, entries: tuple[AwarenessEntry, ...]) -> None:
        """Tell everybody who is here what is new of somebody."""
        self.audience.tell_awareness(entries)

    # ---- the writer -------------------------------------------------------------------------

    async def _change(self, change: Change) -> None:
        if self.failure is not None:
            raise self.failure
        # Shielded: what was begun is stored, even if the connection ends meanwhile.
        await asyncio.shield(self._add(change))

    def _add(self, change: Change) -> asyncio.Future[None]:
        change.done = asyncio.get_running_loop().create_future()
        # Nobody may be left to hear of a failure.
        change.done.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._changes.append(change)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return change.done

    async def _write(self) -> None:
        try:
            while self._changes and self.failure is None:
                made: list[Change] = []
                is_sound = self._apply_all(made)
                await self._commit(made)
                if not is_sound:
                    await self._load_again()
                elif self._log_size > self._compact_at:
                    await self._compact(is_alone=not self._store.is_shared)
                self._answer_reads()
        except StoreError as error:
            logger.error("document %r is given up: %s", self.name, error)
            self.give_up(error)
            self.audience.close_all(error)
        except Exception as error:
            logger.exception("document %r is given up", self.name)
            self.give_up(StoreError(f"the document failed: {type(error).__name__}"))
            self.audience.close_all(self.failure)
        finally:
            self._writer = None
            self._fail_waiting()
            self._answer_reads()

    async def _load_again(self) -> None:
        """Make the content again of what is stored, and tell what other nodes have stored there:
        when their updates come, they are no news to the document any more."""
        known = self.replica.known
        await self.load()
        if self._store.is_shared:
            news = self.replica.diff(known)
            if news != EMPTY:
                self._tell_of_others(news)  # but editors in JSON, who were told the whole text

    def _tell_of_others(self, news: bytes) -> None:
        """Tell what others had stored, and this document has only now."""
        change = Change(lambda: None, is_from_node=True, news=news)
        self._note(change)
        self.audience.tell(change)

    def _note(self, change: Change) -> None:
        if self.text is not None:
            change.note(self.text)

    def _apply_all(self, made: list[Change]) -> bool:
        """Apply what waits, into `made`; stop, and return False, if that broke the content."""
        while self._changes:
            change = self._changes.popleft()
            try:
                change.news = change.make()
                self._note(change)
                made.append(change)
            except Damaged as error:
                logger.warning("document %r is loaded again: %s", self.name, error)
                change.fail(MalformedMessage(f"the update cannot be applied: {error}"))
                return False
            except DocumentError as error:
                change.fail(error)
        return True

    async def _commit(self, made: list[Change]) -> None:
        """Store what is new, then tell everybody."""
        news = [
            change.news
            for change in made
            if change.news is not None and not (change.is_from_node and self._store.is_shared)
        ]
        try:
            if news:
                await self._call_store(self._store.append(self.name, news))
        except StoreError as error:
            for change in made:
                change.fail(error)
            raise
        self._log_size += sum(map(len, news))
        for change in made:
            self.audience.tell(change)
            change.succeed()

    async def _compact(self, *, is_alone: bool) -> None:
        """Put a snapshot in the place of what is stored; a failure is tried again later.

        What others may have stored, if it is not alone, goes into the snapshot.
        """
        try:
            stored = await self._call_store(self._store.load(self.name))
            if not is_alone:
                for update in self.replica.merge(stored.parts):
                    self._tell_of_others(update)
            snapshot = self.replica.snapshot()
            if not self.replica.is_said_by(snapshot):
                raise StoreError("its snapshot is not what it has")
            await self._call_store(self._store.compact(self.name, snapshot, stored.position))
        except StoreError as error:
            logger.warning("document %r is not compacted yet: %s", self.name, error)
            self._compact_at = 2 * self._log_size
            return
        self.replica.size = len(snapshot)
        self._log_size = 0
        self._compact_at = max(COMPACT_FROM, len(snapshot))

    async def _call_store(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.options.store_timeout):
                return await call
        except StoreError:
            raise
        except TimeoutError:
            raise StoreError("the store does not answer") from None
        except Exception as error:
            raise StoreError(f"the store failed: {error!r}") from error

    def _check_size(self, update: bytes) -> None:
        """Raise LimitExceeded for an update that is too large by itself."""
        if len(update) > self.options.max_update:
            raise LimitExceeded(f"an update has {self.options.max_update} bytes at most")

    def _check_room(self, update: bytes) -> None:
        """Raise LimitExceeded for an update that is too large for the document."""
        limit = self.options.max_document
        if update[:1] == EMPTY[:1]:  # deletions alone; who comes says all that it knows of
            limit *= 2
        if self.replica.size + len(update) > limit:
            # Deleted text counts until a snapshot drops it: look before refusing.
            self.replica.size = len(self.replica.snapshot())
            if self.replica.size + len(update) > limit:
                raise LimitExceeded(f"the document is full: {self.options.max_document} bytes")

    def _answer_reads(self) -> None:
        while self._reads:
            self._reads.popleft()()

    def _fail_waiting(self) -> None:
        while self._changes:
            self._changes.popleft().fail(self.failure or StoreError("the document was closed"))
