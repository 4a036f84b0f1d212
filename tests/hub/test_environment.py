"""The broker of a hub that names none: the environment's."""

from __future__ import annotations

import logging

import pytest

from longwire.hub.brokers.memory import MemoryBroker
from longwire.hub.environment import find_broker

pytest.importorskip("redis")


@pytest.mark.parametrize("variable", [None, "", "none", "auto", "memory://"])
def test_no_address_is_this_process_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    if variable is None:
        monkeypatch.delenv("LONGWIRE_BROKER", raising=False)
    else:
        monkeypatch.setenv("LONGWIRE_BROKER", variable)
    assert isinstance(find_broker(None), MemoryBroker)


def test_an_address_is_the_broker_s_unless_the_application_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from longwire.hub.brokers.redis import RedisBroker

    monkeypatch.setenv("LONGWIRE_BROKER", "redis://127.0.0.1:1")
    assert isinstance(find_broker(None), RedisBroker)
    assert isinstance(find_broker("memory://"), MemoryBroker)


@pytest.mark.parametrize(("workers", "is_said"), [("", False), ("1", False), ("2", True)])
def test_rooms_that_end_at_the_worker_s_edge_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, workers: str, is_said: bool
) -> None:
    monkeypatch.delenv("LONGWIRE_BROKER", raising=False)
    monkeypatch.setenv("LONGWIRE_WORKERS", workers)
    with caplog.at_level(logging.WARNING, "longwire.hub"):
        find_broker(None)
    assert ("hears nothing" in caplog.text) is is_said
