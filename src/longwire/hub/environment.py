"""What the environment says of a hub: where its broker is, and how many workers there are."""

from __future__ import annotations

import logging
import os

from longwire.hub.broker import Broker
from longwire.hub.brokers import broker_at
from longwire.hub.brokers.memory import MemoryBroker

BROKER_VARIABLE = "LONGWIRE_BROKER"
"""The address of the broker where the application names none; the server sets it for workers."""

NO_ADDRESS = ("", "none", "auto")
"""What the variable may hold beside an address: our server's own words, met under another one."""

WORKERS_VARIABLE = "LONGWIRE_WORKERS"
"""How many processes run this application, if a supervisor says so."""

logger = logging.getLogger("longwire.hub")


def find_broker(broker: Broker | str | None) -> Broker:
    """Return the broker of a hub, and say so if its rooms end where others begin. BrokerError."""
    if broker is None:
        broker = os.environ.get(BROKER_VARIABLE, "")
        if broker in NO_ADDRESS:
            broker = "memory://"
    if isinstance(broker, str):
        broker = broker_at(broker)
    workers = os.environ.get(WORKERS_VARIABLE, "")
    if isinstance(broker, MemoryBroker) and workers.isdigit() and int(workers) > 1:
        logger.warning(
            "this is one of %s workers, and each has rooms of its own: whoever is connected to "
            "another worker hears nothing. Name a broker by --broker or %s; with longwire[nats] "
            "installed, --broker auto starts one",
            workers,
            BROKER_VARIABLE,
        )
    return broker
