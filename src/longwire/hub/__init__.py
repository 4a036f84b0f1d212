"""Rooms: who is connected, who is where, one message to many, on one process or many machines."""

from longwire.hub.broker import Broker, Node, Presence, Window
from longwire.hub.events import (
    Client,
    Disconnect,
    Draft,
    Event,
    Gap,
    History,
    Join,
    Joined,
    Leave,
    Position,
    Publication,
    RoomEvent,
    Signal,
)
from longwire.hub.hub import Counts, Hub
from longwire.hub.member import Member
from longwire.hub.message import Format, as_published
from longwire.hub.options import OnGap, OutboxOptions, Overflow, RoomOptions
from longwire.hub.subscription import Subscription

__all__ = [
    "Broker",
    "Client",
    "Counts",
    "Disconnect",
    "Draft",
    "Event",
    "Format",
    "Gap",
    "History",
    "Hub",
    "Join",
    "Joined",
    "Leave",
    "Member",
    "Node",
    "OnGap",
    "OutboxOptions",
    "Overflow",
    "Position",
    "Presence",
    "Publication",
    "RoomEvent",
    "RoomOptions",
    "Signal",
    "Subscription",
    "Window",
    "as_published",
]
