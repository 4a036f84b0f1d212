"""What the real command serves in tests: documents in a SQLite file that the environment names."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Mount

from longwire.documents import Documents, SqliteStore

FILE = "LONGWIRE_TEST_DOCUMENTS"

documents = Documents(SqliteStore(os.environ.get(FILE, ":memory:")))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with documents:
        yield


app = Starlette(routes=[Mount("/", documents.endpoint())], lifespan=lifespan)
