"""Events as bytes between nodes: a letter, a head in JSON, a line feed, and a publication's data.

    T{"sender":{"id":"9f","user":"alice"}}\\n Hello     B binary   J join   L leave   D disconnect

Whoever can write to the broker can write these: all of it is checked, and nothing is evaluated.
The room, and the position, are not in it; the broker knows them.
"""

from __future__ import annotations

import json
import math
from typing import Any

from longwire.asgi import is_sendable_code
from longwire.hub.encoding import to_json
from longwire.hub.events import (
    Client,
    Disconnect,
    Draft,
    Join,
    Leave,
    Position,
    Publication,
    RoomEvent,
    Signal,
)
from longwire.hub.info import is_too_deep

MAX_HEAD = 16 * 1024
"""Bytes of a head; the hub bounds the info of a client, the largest part of it, to 4 KiB."""

MAX_TEXT = 512
"""Characters of an id, a user, a key or a reason."""

TEXT, BINARY, JOIN, LEAVE, DISCONNECT = b"T", b"B", b"J", b"L", b"D"


class InvalidEnvelope(ValueError):
    """These bytes are no event of ours; somebody else wrote them."""


def _finite(text: str) -> float:
    """Return a number; ValueError for NaN, Infinity and 1e999, which no browser reads back."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no JSON")
    return value


DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def encode_draft(draft: Draft) -> bytes:
    """Return a publication's envelope."""
    head: dict[str, Any] = {}
    if draft.sender is not None:
        head["sender"] = _client_to_json(draft.sender)
    if draft.key is not None:
        head["key"] = draft.key
    if draft.exclude is not None:
        head["exclude"] = draft.exclude
    if isinstance(draft.data, str):
        return _join(TEXT, head, draft.data.encode())
    return _join(BINARY, head, draft.data)


def encode_signal(signal: Signal) -> bytes:
    """Return a signal's envelope."""
    if isinstance(signal, Disconnect):
        return _join(DISCONNECT, {"code": signal.code, "reason": signal.reason})
    letter = JOIN if isinstance(signal, Join) else LEAVE
    return _join(letter, {"client": _client_to_json(signal.client)})


def decode(
    room: str, envelope: bytes, position: Position | None = None, previous: int = 0
) -> RoomEvent:
    """Return the event; InvalidEnvelope if it is none."""
    letter = envelope[:1]
    end = envelope.find(b"\n", 1, MAX_HEAD + 2)
    if end < 0:
        raise InvalidEnvelope("no head")
    head = _read_json(envelope[1:end])
    if letter in (TEXT, BINARY):
        payload = envelope[end + 1 :]
        sender = head.get("sender")
        return Publication(
            room,
            _decode_text(payload) if letter == TEXT else payload,
            None if sender is None else client_from_json(sender),
            _text_or_none(head, "key"),
            _text_or_none(head, "exclude"),
            position,
            previous,
        )
    if letter == JOIN:
        return Join(room, client_from_json(head.get("client")))
    if letter == LEAVE:
        return Leave(room, client_from_json(head.get("client")))
    if letter == DISCONNECT:
        code: Any = head.get("code")
        if not is_sendable_code(code):
            raise InvalidEnvelope("no close code")
        return Disconnect(room, code, _text_or_none(head, "reason") or "")
    raise InvalidEnvelope("no kind of event")


def encode_client(client: Client) -> bytes:
    """Return a client as JSON, for a broker's own table of who is present."""
    return to_json(_client_to_json(client)).encode()


def decode_client(data: bytes) -> Client:
    """Return the client; InvalidEnvelope if it is none."""
    return client_from_json(_read_json(data))


def client_from_json(value: Any) -> Client:
    """Return the client that JSON holds; InvalidEnvelope if it is none."""
    if not isinstance(value, dict):
        raise InvalidEnvelope("a client is an object")
    id = _text_or_none(value, "id")
    if not id:
        raise InvalidEnvelope("a client has an id")
    info = value.get("info")
    if is_too_deep(info):
        raise InvalidEnvelope("an info that is too deep")
    return Client(id, _text_or_none(value, "user"), info)


def _client_to_json(client: Client) -> dict[str, Any]:
    value: dict[str, Any] = {"id": client.id}
    if client.user is not None:
        value["user"] = client.user
    if client.info is not None:
        value["info"] = client.info
    return value


def _join(letter: bytes, head: dict[str, Any], payload: bytes = b"") -> bytes:
    # JSON escapes line feeds: the first one ends the head.
    return b"".join((letter, to_json(head).encode() if head else b"{}", b"\n", payload))


def _read_json(data: bytes) -> dict[str, Any]:
    if data == b"{}":
        return {}
    if len(data) > MAX_HEAD:
        raise InvalidEnvelope(f"a head over {MAX_HEAD} bytes")
    try:
        value = DECODER.decode(data.decode())
        if b"\\u" in data:  # JSON can escape a lone surrogate; nothing can send it
            to_json(value).encode()
    except (ValueError, RecursionError):
        raise InvalidEnvelope("a head that is no JSON") from None
    if not isinstance(value, dict):
        raise InvalidEnvelope("a head that is no object")
    return value


def _decode_text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise InvalidEnvelope("text that is not UTF-8") from None


def _text_or_none(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise InvalidEnvelope(f"{name} is a short text")
    return value
