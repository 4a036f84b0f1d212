"""A client in process and over a real server for the same tests; the trace of the blocks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from longwire.toolkit.testing import AsyncTestClient
from tests.conftest import Serve
from tests.documents.execution import Trace, note_outcome

TABLE = Path(__file__).parent / "test_table.py"
HERE = "tests/documents/"

Connect = Callable[..., AbstractAsyncContextManager[AsyncTestClient]]


@pytest.fixture(params=["in process", "over a server"])
def connect(request: pytest.FixtureRequest, serve: Serve) -> Connect:
    """A test client of an application: `async with connect(app) as client:`."""

    @contextlib.asynccontextmanager
    async def connect(app: Any) -> AsyncIterator[AsyncTestClient]:
        if request.param == "in process":
            async with AsyncTestClient(app) as client:
                yield client
        else:
            async with serve(app, lifespan="auto") as server:
                async with AsyncTestClient(server.url("http", "")) as client:
                    yield client

    return connect


@pytest.fixture(autouse=True)
def traced() -> Iterator[bool]:
    """Whether the lines that the test executes are noted."""
    trace = Trace()
    yield trace.start()
    trace.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The table asks what the other tests have executed: it comes last."""
    items.sort(key=lambda item: item.path == TABLE)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.nodeid.startswith(HERE):
        note_outcome(report.nodeid, report.outcome)
