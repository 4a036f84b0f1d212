"""The brokers, one after the other, for each test of the contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contracts.brokers import REMOTES, SETTINGS
from tests.contracts.remote import Remote
from tests.contracts.settings import Setting


@pytest.fixture(params=SETTINGS)
async def setting(request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    async with SETTINGS[request.param]() as setting:
        yield setting


@pytest.fixture(params=REMOTES)
async def remote(request: pytest.FixtureRequest) -> AsyncIterator[Remote]:
    async with REMOTES[request.param]() as remote:
        yield remote
