"""The broker on NATS 2.11 or later with JetStream, `longwire[nats]`: `nats://` and `tls://`."""

from __future__ import annotations

from longwire.hub.brokers.nats.broker import NatsBroker
from longwire.hub.brokers.nats.options import arguments_of

__all__ = ["NatsBroker", "broker_at"]


def broker_at(url: str) -> NatsBroker:
    """Return the broker of an address, as in `nats://user:password@a:4222,b:4222?prefix=chat`.

    Its options are those of NatsBroker, but for `tls`: instead of that, `ssl_ca_certs`,
    `ssl_certfile` and `ssl_keyfile` name files. Raises BrokerError for an address that is none.
    """
    return NatsBroker(url, **arguments_of(url))
