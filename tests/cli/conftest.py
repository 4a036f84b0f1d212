"""Clients of servers in processes of their own, which take their time to start and to end."""

from __future__ import annotations

import pytest

from tests import process, wire


@pytest.fixture(autouse=True)
def long_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a frame as long as for a process: the one that sends it may have yet to start."""
    monkeypatch.setattr(wire, "PATIENCE", process.PATIENCE)
