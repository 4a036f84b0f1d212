"""The broker on NATS 2.11 or later with JetStream, `longwire[nats]`: `nats://` and `tls://`."""

from __future__ import annotations

from longwire.hub.brokers.nats.broker import NatsBroker
from longwire.hub.brokers.nats.options import options_of

__all__ = ["NatsBroker", "broker_at"]


def broker_at(url: str) -> NatsBroker:
    """Return the broker of an address, as in `nats://user:password@a:4222,b:4222?prefix=chat`.

    `prefix`, `heartbeat`, `timeout` and `replicas` are those of NatsBroker. Raises BrokerError for
    an address that is none.
    """
    options = options_of(url)
    return NatsBroker(
        options.url,
        prefix=options.prefix,
        heartbeat=options.heartbeat,
        timeout=options.timeout,
        replicas=options.replicas,
    )
