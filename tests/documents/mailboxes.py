"""How the corrected broadcasts send: into each peer's own mailbox, without waiting for any."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from examples.rooms import Member
from longwire import WebSocket

_mailboxes: dict[Any, tuple[Member, asyncio.Task[None]]] = {}


def post(peer: Any, message: dict[str, Any]) -> None:
    """Post to a WebSocket its JSON, or to ASGI's send() a message of the type `websocket.send`.

    ConnectionError if the peer was lost with an earlier message.
    """
    if isinstance(peer, WebSocket):
        send, text = peer.send, json.dumps(message)
    else:
        send, text = peer, message["text"]
    if peer not in _mailboxes:
        member = Member(send)
        _mailboxes[peer] = member, asyncio.create_task(member.deliver())
    member, writer = _mailboxes[peer]
    if writer.done():
        del _mailboxes[peer]
        raise ConnectionError("the peer is gone")
    member.post(text)
