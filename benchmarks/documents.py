"""What an update costs the server as a document ages: it must not depend on the age.

    python -m benchmarks.documents                 # 100,000 updates, a table
    python -m benchmarks.documents --updates 20000

One editor types as people do: at a cursor that moves now and then, with a deletion in seven. Each
update is a message of Yjs' wire that is decoded, checked, applied, stored, and encoded for ten
others, compaction included; sockets are not. The time is CPU of the process, all its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycrdt

from longwire.documents import DocumentOptions, MemoryStore, SqliteStore, Store
from longwire.documents.document import Document
from longwire.documents.sync import Update, decode, encode
from longwire.hub import Hub, Member

EDITORS = 10
STEPS = 10
MIB = 1024 * 1024


def typed(updates: int) -> Iterator[bytes]:
    """Yield the messages of somebody who types."""
    seed = random.Random(1)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    text = doc.get("text", type=pycrdt.Text)
    messages: list[bytes] = []
    subscription = doc.observe(lambda event: messages.append(encode(Update(event.update))))
    length = cursor = 0
    for step in range(updates):
        if step % 40 == 0:
            cursor = seed.randint(0, length)
        if step % 7 == 3 and cursor:
            del text[cursor - 1 : cursor]
            cursor, length = cursor - 1, length - 1
        else:
            text.insert(cursor, seed.choice("etaoin shrdlu"))
            cursor, length = cursor + 1, length + 1
        yield messages.pop()
    doc.unobserve(subscription)


async def unread(message: Any) -> None:
    """Be a connection that takes everything at once."""


async def age(store: Store, messages: list[bytes], *, with_json: bool = False) -> list[float]:
    """Return the microseconds of CPU for an update, in each tenth of the messages."""
    options = DocumentOptions(max_document=256 * MIB)
    document = Document("benchmark", store, options, "text")
    async with Hub() as hub:
        members: list[Member] = []
        for _ in range(EDITORS):
            member = await hub.connect(unread).start()
            document.audience.admit_yjs(member)
            members.append(member)
        await document.load()
        if with_json:
            document.audience.admit_json(members[0], document.text_form(), ())
        costs = []
        part = len(messages) // STEPS
        for start in range(0, len(messages), part):
            began = time.process_time()
            for message in messages[start : start + part]:
                update = decode(message)
                assert isinstance(update, Update)
                await document.apply(update.update, author="somebody", user=None)
            costs.append((time.process_time() - began) / part * 1e6)
        await document.close()
    await store.close()
    return costs


async def main(updates: int, json_updates: int) -> None:
    messages = list(typed(updates))
    with tempfile.TemporaryDirectory() as directory:
        columns = {
            "memory": await age(MemoryStore(), messages),
            "SQLite": await age(SqliteStore(Path(directory) / "documents.db"), messages),
        }
    print(f"microseconds of CPU for an update, {EDITORS} editors")
    print("   updates" + "".join(f"{name:>12}" for name in columns))
    for step in range(STEPS):
        figures = "".join(f"{column[step]:12.1f}" for column in columns.values())
        print(f"{(step + 1) * updates // STEPS:10,}{figures}")
    costs = await age(MemoryStore(), messages[:json_updates], with_json=True)
    print("\nwith an editor in JSON, which makes pycrdt walk to the place of each change")
    for step in range(STEPS):
        print(f"{(step + 1) * json_updates // STEPS:10,}{costs[step]:12.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--updates", type=int, default=100_000)
    parser.add_argument("--json-updates", type=int, default=10_000)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.updates, arguments.json_updates))
