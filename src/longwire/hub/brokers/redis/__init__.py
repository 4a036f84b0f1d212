"""The broker on Redis 7 or Valkey, `longwire[redis]`: `redis://`, `rediss://` and `unix://`."""

from __future__ import annotations

from longwire.hub.brokers.redis.broker import RedisBroker
from longwire.hub.brokers.redis.options import options_of

__all__ = ["RedisBroker", "broker_at"]


def broker_at(url: str) -> RedisBroker:
    """Return the broker of an address, as in `redis://user:password@host:6379/0?prefix=chat`.

    `prefix`, `heartbeat` and `timeout` are those of RedisBroker; other options are redis-py's.
    Raises BrokerError for an address that is none.
    """
    options = options_of(url)
    return RedisBroker(
        options.url,
        prefix=options.prefix,
        heartbeat=options.heartbeat,
        timeout=options.timeout,
    )
