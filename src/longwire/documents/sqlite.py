"""Documents in a file of SQLite: the embedded store, on one machine, for one process or several.

- All calls run in one thread of the store's own: the event loop never waits for a disk.
- WAL, and synchronous=FULL: what append() has returned from is there after a power cut.
- Appends that wait for the thread together are one transaction, so that one sync serves them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from longwire.documents.stores import Stored
from longwire.errors import StoreError

OPEN_AGAIN = 0.01
"""Seconds between two attempts to open a file that another connection is just opening, too."""

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes to the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS updates (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS updates_by_name ON updates (name, position);
CREATE TABLE IF NOT EXISTS snapshots (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    data BLOB NOT NULL
) WITHOUT ROWID;
"""

Append = tuple[str, Sequence[bytes], "asyncio.Future[None]"]
"""What waits to be written: a document's name, updates, and who is told."""

T = TypeVar("T")


class SqliteStore:
    """A Store in a file; workers of one machine may share it.

    `synchronous` "NORMAL" is faster on slow disks, and may lose the last moments before a power
    cut, never those before a crash of the process. Raises StoreError where the file cannot be used.
    """

    is_shared = True

    def __init__(self, path: str | Path, *, synchronous: str = "FULL") -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise ValueError(f'synchronous is "FULL" or "NORMAL"; got {synchronous!r}')
        self._path = str(path)
        self._synchronous = synchronous
        self._thread = ThreadPoolExecutor(1, "longwire-documents")
        self._connection: sqlite3.Connection | None = None
        self._waiting: list[Append] = []  # one for each document at most
        self._writer: asyncio.Task[None] | None = None  # while something waits
        self._is_closed = False

    async def load(self, name: str) -> Stored:
        """Return the document."""
        return await self._run(partial(self._load, name))

    async def append(self, name: str, updates: Sequence[bytes]) -> None:
        """Keep the updates, with those of other documents that wait at the moment."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((name, updates, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        """Commit what waits, until nothing does."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                await self._run(partial(self._commit, batch))
            except Exception as failure:
                error = failure
            for _, _, written in batch:
                if not written.done():
                    if error is None:
                        written.set_result(None)
                    else:
                        written.set_exception(error)
        self._writer = None

    async def compact(self, name: str, snapshot: bytes, position: int) -> None:
        """Put the snapshot in the place of all up to the position, in one transaction."""
        await self._run(partial(self._compact, name, snapshot, position))

    async def close(self) -> None:
        """Close the file, behind what is being written."""
        if not self._is_closed:
            self._is_closed = True
            closing = asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            with contextlib.suppress(sqlite3.Error):
                await closing
            self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error

    # ---- in the thread ----------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        deadline = time.monotonic() + BUSY_TIMEOUT
        while self._connection is None:
            try:
                self._connection = self._open()
            except sqlite3.OperationalError as error:
                # While another connection turns the file to WAL, SQLite does not wait for it.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(OPEN_AGAIN)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.executescript(SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _commit(self, batch: list[Append]) -> None:
        connection = self._opened()
        with _transaction(connection):
            connection.executemany(
                "INSERT INTO updates (name, data) VALUES (?, ?)",
                ((name, update) for name, updates, _ in batch for update in updates),
            )

    def _load(self, name: str) -> Stored:
        connection = self._opened()
        with _transaction(connection, "DEFERRED"):  # both tables as of one moment
            row = connection.execute(
                "SELECT data, position FROM snapshots WHERE name = ?", (name,)
            ).fetchone()
            snapshot, position = row or (None, 0)
            rows = connection.execute(
                "SELECT data, position FROM updates WHERE name = ? ORDER BY position", (name,)
            ).fetchall()
        return Stored(snapshot, [data for data, _ in rows], rows[-1][1] if rows else position)

    def _compact(self, name: str, snapshot: bytes, position: int) -> None:
        connection = self._opened()
        with _transaction(connection):
            changed = connection.execute(
                "INSERT INTO snapshots VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET position = excluded.position, data = excluded.data"
                " WHERE excluded.position > snapshots.position",
                (name, position, snapshot),
            ).rowcount
            if changed:
                connection.execute(
                    "DELETE FROM updates WHERE name = ? AND position <= ?", (name, position)
                )

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
