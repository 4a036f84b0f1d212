"""The bounds of documents, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KIB = 1024
MIB = 1024 * KIB

Role = Literal["write", "read"]
"""What somebody may do in a document: edit it, or see it and be seen."""

Form = Literal["yjs", "json"]
"""What an editor speaks: Yjs' wire in binary messages, or operations in JSON."""

EDITOR_MESSAGES = 1024
"""Messages that wait for a slow editor; some 30 s of others' typing in a full room."""

REVISIONS = 1000
"""Changes that are kept to transform operations in JSON that were made without knowing them."""

MAX_NAME = 180
"""Bytes of a document's name, percent-encoded: with its prefix it is the name of a hub's room."""


@dataclass(frozen=True, slots=True)
class DocumentOptions:
    """The bounds of a document; sizes in bytes, times in seconds.

    `max_update` is for one message of an editor, what it made offline included. `max_document` is
    that of a document with its history as it is stored: all of it is in memory, and sent to
    whoever joins.
    Awareness: states of `max_state`, `max_clients` of them, `max_awareness` in all, and from one
    connection `max_speakers` (the tabs of a browser tell of each other). Beyond the sums a new
    state is left out, a state that is too large closes with 1009.
    `max_open` is how many documents a process has in memory; those nobody edits make room.
    A document nobody edits is unloaded after `unload_after`. A call of the store that takes over
    `store_timeout` has failed. Nodes compare their states each `sync_every`.
    """

    max_update: int = MIB
    max_document: int = 16 * MIB
    max_state: int = 4 * KIB
    max_clients: int = 1024
    max_awareness: int = 512 * KIB
    max_speakers: int = 16
    max_open: int = 10_000
    unload_after: float = 30.0
    store_timeout: float = 10.0
    sync_every: float = 30.0
