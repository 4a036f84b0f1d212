"""What every store keeps its word on, and what SQLite does in a crash."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from longwire.documents import MemoryStore, SqliteStore, Store, Stored
from longwire.errors import StoreError

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore()
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "documents.db")
    yield store
    await store.close()


async def test_a_document_that_was_never_written_is_empty(store: Store) -> None:
    assert await store.load("new") == Stored()


async def test_updates_come_back_in_order_and_by_document(store: Store) -> None:
    await store.append("a", [b"1", b"2"])
    await store.append("b", [b"other"])
    await store.append("a", [b"3"])
    assert (await store.load("a")).parts == [b"1", b"2", b"3"]
    assert (await store.load("b")).parts == [b"other"]


async def test_a_snapshot_takes_the_place_of_what_it_has(store: Store) -> None:
    await store.append("a", [b"1", b"2"])
    stored = await store.load("a")
    await store.append("a", [b"3"])
    await store.append("b", [b"other"])
    await store.compact("a", b"12", stored.position)
    await store.append("a", [b"4"])
    assert (await store.load("a")).parts == [b"12", b"3", b"4"]
    assert (await store.load("b")).parts == [b"other"]


async def test_an_older_snapshot_does_not_replace_a_newer_one(store: Store) -> None:
    await store.append("a", [b"1"])
    first = await store.load("a")
    await store.append("a", [b"2"])
    second = await store.load("a")
    await store.compact("a", b"12", second.position)
    await store.compact("a", b"1", first.position)
    assert (await store.load("a")).parts == [b"12"]
    await store.append("a", [b"3"])
    third = await store.load("a")
    assert third.position > second.position
    await store.compact("a", b"123", third.position)
    assert (await store.load("a")).parts == [b"123"]


async def test_many_documents_at_once(store: Store) -> None:
    names = [f"document {n}" for n in range(50)]
    await asyncio.gather(*(store.append(name, [name.encode()]) for name in names))
    loaded = await asyncio.gather(*(store.load(name) for name in names))
    assert [stored.parts for stored in loaded] == [[name.encode()] for name in names]


async def test_sqlite_outlives_the_store_and_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    first, second = SqliteStore(path), SqliteStore(path)
    await asyncio.gather(
        *(store.append("a", [b"%d" % n]) for n in range(20) for store in (first, second))
    )
    assert (await first.load("a")) == (await second.load("a"))
    assert len((await first.load("a")).updates) == 40
    await first.close()
    await second.close()
    third = SqliteStore(path)
    assert len((await third.load("a")).updates) == 40
    await third.close()
    await third.close()
    with pytest.raises(StoreError, match="closed"):
        await third.load("a")


async def test_sqlite_never_runs_in_the_event_loops_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()
    connect = sqlite3.connect

    def noted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        threads.add(threading.current_thread().name)
        connection: sqlite3.Connection = connect(*arguments, **options)
        return connection

    monkeypatch.setattr(sqlite3, "connect", noted)
    store = SqliteStore(tmp_path / "documents.db")
    await store.append("a", [b"1"])
    await store.close()
    assert threads == {"longwire-documents_0"}


async def test_a_file_that_cannot_be_used_is_a_store_error(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "no such directory" / "documents.db")
    with pytest.raises(StoreError, match="unable to open"):
        await store.load("a")
    with pytest.raises(StoreError, match="unable to open"):
        await store.append("a", [b"1"])
    await store.close()


async def test_an_append_that_fails_fails_for_all_who_wait(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "documents.db")
    await store.append("a", [b"1"])
    bad: list[bytes] = [object()]  # type: ignore[list-item]
    results = await asyncio.gather(
        store.append("a", [b"2"]), store.append("b", bad), return_exceptions=True
    )
    assert any(isinstance(result, StoreError) for result in results)
    kept = (await store.load("a")).updates
    assert (b"2" in kept) == (results[0] is None), "acknowledged and stored are the same"
    await store.close()


WRITER = """
import asyncio, sys
from longwire.documents import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    n = 0
    while True:
        await store.append("a", [b"%d" % n])
        print(n, flush=True)
        n += 1
        if n % 50 == 0:
            stored = await store.load("a")
            await store.compact("a", b" ".join(stored.parts), stored.position)

asyncio.run(main())
"""


async def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = -1
    while acknowledged < 170:
        acknowledged = int(await asyncio.wait_for(process.stdout.readline(), 15))
    process.send_signal(signal.SIGKILL)
    rest, _ = await process.communicate()
    lines = rest.decode().split("\n")[:-1]
    acknowledged = int(lines[-1]) if lines else acknowledged
    store = SqliteStore(path)
    kept = b" ".join((await store.load("a")).parts).split()
    assert kept == [b"%d" % n for n in range(len(kept))], "in order, once, nothing between"
    assert len(kept) > acknowledged
    await store.close()
