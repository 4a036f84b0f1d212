"""How the corrected broadcasts send: into each peer's own outbox, without waiting for any."""

from __future__ import annotations

import json
from typing import Any

from longwire import WebSocket
from longwire.asgi import Send
from longwire.hub import OutboxOptions
from longwire.hub.counters import Counters
from longwire.hub.message import Message
from longwire.hub.outbox import Outbox


class Mailbox:
    """A peer's outbox, and whether the peer was found to be gone."""

    def __init__(self, send: Send) -> None:
        self.is_lost = False
        self.outbox = Outbox(send, None, OutboxOptions(), Counters(), self)

    def on_writer(self) -> None:
        """Nothing to do: without the server's extension nothing is sent past the writer."""

    def on_lost(self) -> None:
        self.is_lost = True


_mailboxes: dict[Any, Mailbox] = {}


def post(peer: Any, message: dict[str, Any]) -> None:
    """Post to a WebSocket its JSON, or to ASGI's send() a message of the type `websocket.send`.

    ConnectionError if the peer was lost with an earlier message.
    """
    if isinstance(peer, WebSocket):
        send, text = peer.send, json.dumps(message)
    else:
        send, text = peer, message["text"]
    if peer not in _mailboxes:
        _mailboxes[peer] = Mailbox(send)
    if _mailboxes[peer].is_lost:
        del _mailboxes[peer]
        raise ConnectionError("the peer is gone")
    _mailboxes[peer].outbox.post(Message(text))
