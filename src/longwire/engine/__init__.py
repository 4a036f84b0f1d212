"""RFC 6455 and RFC 7692 without I/O: bytes become events, messages become bytes."""

from longwire.engine.codes import is_receivable
from longwire.engine.connection import Connection, Role, State
from longwire.engine.deflate import Deflate, DeflateSettings, accept, negotiate, offer
from longwire.engine.engine import Engine
from longwire.engine.events import Closed, Event, Failed, Ping, Pong
from longwire.engine.handshake import (
    UpgradeRequest,
    accept_key,
    check_response,
    parse_upgrade,
    upgrade_request,
    upgrade_response,
)
from longwire.engine.limits import Limits
from longwire.engine.prepared import Prepared

__all__ = [
    "Closed",
    "Connection",
    "Deflate",
    "DeflateSettings",
    "Engine",
    "Event",
    "Failed",
    "Limits",
    "Ping",
    "Pong",
    "Prepared",
    "Role",
    "State",
    "UpgradeRequest",
    "accept",
    "accept_key",
    "check_response",
    "is_receivable",
    "negotiate",
    "offer",
    "parse_upgrade",
    "upgrade_request",
    "upgrade_response",
]
