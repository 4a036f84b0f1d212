"""Addresses of brokers: which broker, and what logs and errors show of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from longwire.errors import BrokerError
from longwire.hub.broker import Broker
from longwire.hub.brokers import broker_at, redacted
from longwire.hub.brokers.memory import MemoryBroker
from longwire.hub.brokers.nats import NatsBroker
from longwire.hub.brokers.redis import RedisBroker


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://alice:s3cret@host:6379/0?x=s3cret", "redis://host:6379/0"),
        ("redis://:s3cret@[::1]:6379", "redis://[::1]:6379"),
        ("unix:///run/redis/redis.sock?password=s3cret", "unix:///run/redis/redis.sock"),
        ("unix://alice@/run/redis.sock", "unix:///run/redis.sock"),
        ("nats://s3cret@host", "nats://host"),
        ("memory://", "memory://"),
        ("redis://host#s3cret", "redis://host"),
        # Passwords that should have been escaped.
        ("redis://alice:s3cr/et@host", "redis://host"),
        ("redis://alice:s3#cret@host", "redis://host"),
        ("redis://alice:s3cr@et@host", "redis://host"),
        ("redis://alice:s3?cret@host", "redis://"),
        ("redis://host?password=s3cret@", "redis://"),
        # A host that was forgotten.
        ("redis://alice:s3cret", "redis://"),
        ("redis://alice:s3cret/0", "redis://"),
        ("alice:s3cret@host", "an address without a scheme"),
        ("", "an address without a scheme"),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_the_scheme_names_the_broker() -> None:
    assert isinstance(broker_at("memory://"), MemoryBroker)
    for url in ("redis://host", "rediss://host", "unix:///path"):
        assert isinstance(broker_at(url), RedisBroker)
    for url in (
        "nats://host",
        "nats://me:[pw]@host",
        "tls://me:pw@a:1,b:2,[::1]/?prefix=chat&replicas=3",
    ):
        assert isinstance(broker_at(url), NatsBroker)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://s3cret@host", "begins with one of memory://"),
        ("s3cret", "begins with one of memory://"),
        ("redis://host?heartbeat=soon", "heartbeat: a number of seconds; got 'soon'"),
        ("redis://host?heartbeat=0", "heartbeat: 0.01 to 3600 seconds; got 0.0"),
        ("redis://host?timeout=nan", "timeout: 0.01 to 3600 seconds; got nan"),
        ("redis://host?prefix=", "prefix: printable characters without blanks; got ''"),
        ("redis://host?prefix=a%20b", "prefix: printable characters"),
        ("redis://host?s3cret=red", "redis://host: one of its options is none of redis-py's"),
        ("redis://host?db=first", "Invalid value for 'db'"),
        ("redis://host?decode_responses=1", "redis://host: decode_responses is not for a broker"),
        ("redis://alice:s3cret/0", r"redis:// is no address of Redis$"),
        ("redis://host:s3cret", r"redis:// is no address of Redis$"),
        ("nats://host?heartbeat=soon", "heartbeat: a number; got 'soon'"),
        ("nats://host?timeout=0", "timeout: 0.01 to 3600 seconds; got 0.0"),
        ("nats://host?prefix=a.b", "prefix: 1 to 64 letters, digits, - and _; got 'a.b'"),
        ("nats://host?replicas=2", "replicas: 1, 3 or 5; got 2"),
        ("nats://host?colour=red", r"nats://host: its options are prefix, heartbeat, timeout"),
        ("nats://", "nats:// is no address of NATS"),
        ("nats://host:s3cret", "nats:// is no address of NATS"),
        ("nats://host:0", "is no address of NATS"),
        ("redis://alice:[s3cret]@host", "redis://host is no address of Redis$"),
        ("nats://alice:s3cret@a,b:s3cret", "is no address of NATS"),
    ],
)
def test_an_address_that_is_none(url: str, error: str) -> None:
    with pytest.raises(BrokerError, match=error) as raised:
        broker_at(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "password", ["2024?s3cret", "2024/s3cret", "2024#s3cret", "s3cret?timeout=x"]
)
@pytest.mark.parametrize("make", [broker_at, RedisBroker, NatsBroker])
@pytest.mark.parametrize("scheme", ["redis", "nats"])
def test_a_password_that_is_not_escaped_is_no_port_and_no_option(
    scheme: str, make: Callable[[str], Broker], password: str
) -> None:
    """Half of it would be the port of a host, and be shown."""
    for credentials in (f"ann:{password}", f":{password}", password):
        with pytest.raises(BrokerError, match="/ is %2F") as raised:
            make(f"{scheme}://{credentials}@host")
        for piece in ("s3cret", "2024", "ann"):
            assert piece not in str(raised.value)
