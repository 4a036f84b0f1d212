"""Fixtures for pytest, there as soon as Longwire is installed; the clients close by themselves.

    def test_echo(websocket_client):
        client = websocket_client(app)
        with client.websocket_connect("/ws") as websocket: ...

With `pytest --live-url http://127.0.0.1:8000` the same tests speak to a live server instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from longwire.toolkit.testing import AsyncTestClient, TestClient


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("longwire").addoption(
        "--live-url",
        help="let Longwire's test clients speak to this server, not to the application",
    )


@pytest.fixture
def websocket_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., TestClient]]:
    """A function that makes an entered TestClient of an application; it ends with the test."""
    from longwire.toolkit.testing import TestClient

    with ExitStack() as stack:

        def enter(app: Any, **options: Any) -> TestClient:
            target = request.config.getoption("--live-url") or app
            return stack.enter_context(TestClient(target, **options))

        yield enter


@pytest.fixture
def async_websocket_client(request: pytest.FixtureRequest) -> Callable[..., AsyncTestClient]:
    """A function that makes an AsyncTestClient, for `async with`."""
    from longwire.toolkit.testing import AsyncTestClient

    def make(app: Any, **options: Any) -> AsyncTestClient:
        target = request.config.getoption("--live-url") or app
        return AsyncTestClient(target, **options)

    return make
